//! The program: TLS provider, arguments, one command, its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Without a provider the HTTP client panics when it is first built; a second install is no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    pullproof::cli::main(std::env::args_os()).into()
}
