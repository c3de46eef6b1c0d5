//! Progress on standard error, only on a terminal and only when the work takes a while.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of answered questions; hides itself where nobody looks.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template(
            "{spinner} asking registries: {pos}/{len} images ({elapsed})",
        );
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    pub fn set(&self, done: usize, total: usize) {
        if done == 0 && total > 0 {
            self.0.set_length(total as u64);
            self.0.enable_steady_tick(Duration::from_millis(200));
        }
        self.0.set_position(done as u64);
    }

    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
