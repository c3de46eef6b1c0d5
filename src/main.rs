//! The program: TLS provider, arguments, one command, its exit code.

use std::process::ExitCode;

/// The image is linked with musl, whose own allocator holds one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Without a provider the HTTP client panics when it is first built; a second install is no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    pullproof::cli::main(std::env::args_os()).into()
}
