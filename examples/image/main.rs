//! `make image` and `make image-push`: a container image from static binaries, without a container
//! engine. The same inputs give the same bytes, whoever builds it.
//!
//!     image build OUTPUT.tar VERSION CA-BUNDLE OS/ARCH=BINARY...
//!     image push  INPUT.tar HOST:PORT/REPOSITORY[:TAG]
//!
//! The tar file is an OCI layout that skopeo, crane, podman and `ctr images import` read as well. The
//! push speaks plain HTTP and has no login: it is for registries of tests.

#![expect(clippy::print_stdout, reason = "a tool tells what it made")]

mod elf;
mod layout;
mod push;
mod tar;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // Without a provider the HTTP client panics when it is first built.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["build", output, version, roots, binaries @ ..] if !binaries.is_empty() => {
            build(Path::new(output), version, Path::new(roots), binaries)
        }
        ["push", input, destination] => push(Path::new(input), destination).await,
        _ => bail!(
            "image build OUTPUT.tar VERSION CA-BUNDLE OS/ARCH=BINARY... | image push INPUT.tar HOST:PORT/REPOSITORY[:TAG]"
        ),
    }
}

fn build(output: &Path, version: &str, roots: &Path, binaries: &[&str]) -> Result<()> {
    let roots = read(roots)?;
    let mut platforms = BTreeMap::new();
    for binary in binaries {
        let (platform, file) = binary.split_once('=').context("binaries are OS/ARCH=FILE")?;
        let (os, architecture) = platform.split_once('/').context("platforms are OS/ARCH")?;
        let file = read(Path::new(file))?;
        elf::runs_alone(&file).with_context(|| {
            format!("{binary} is no static program, and nothing in the image could load it")
        })?;
        platforms.insert((os.to_owned(), architecture.to_owned()), file);
    }
    let image = layout::Image { version, roots: &roots, platforms: &platforms };
    let (digest, layout) = image.layout()?;
    std::fs::write(output, &layout)
        .with_context(|| format!("cannot write {}", output.display()))?;
    println!("{} ({:.1} MB): {digest}", output.display(), layout.len() as f64 / 1e6);
    Ok(())
}

async fn push(input: &Path, destination: &str) -> Result<()> {
    let digest = push::push(&read(input)?, destination).await?;
    println!("{destination}@{digest}");
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
