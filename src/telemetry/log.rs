//! Logs of the long-running roles: one JSON object a line. Texts from outside are
//! fields, which the format escapes, never parts of a message.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

/// Starts the log on a writer; `verbose` tells every request that is sent.
pub fn start<W>(verbose: bool, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = if verbose { Level::DEBUG } else { Level::INFO };
    let ours = Targets::new().with_target("pullproof", level).with_default(Level::ERROR);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_writer(writer);
    // A second start (in tests) leaves the first as it is.
    let _ = tracing_subscriber::registry().with(lines).with(ours).try_init();
}
