//! The project's own image as `make image` builds it: a layout that registries and runtimes read, the
//! same bytes from the same parts, and nothing in it but the program and what it needs.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::{Value, json};

#[path = "../examples/image/elf.rs"]
mod elf;
#[path = "../examples/image/layout.rs"]
mod layout;
#[path = "../examples/image/tar.rs"]
mod tar;

type Platforms = BTreeMap<(String, String), Vec<u8>>;

fn platforms() -> Platforms {
    let binary = |architecture: &str| format!("binary of {architecture}").repeat(100).into_bytes();
    ["amd64", "arm64"].map(|it| (("linux".to_owned(), it.to_owned()), binary(it))).into()
}

fn layout(platforms: &Platforms) -> (String, Vec<u8>) {
    layout::Image { version: "1.2.3", roots: b"roots", platforms }.layout().unwrap()
}

/// A blob of a layout, held against its digest and size.
fn blob(layout: &[u8], descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    let files = tar::files(layout).unwrap();
    let name = layout::blob(digest);
    let (_, content) = files.iter().find(|(file, _)| *file == name).unwrap();
    assert_eq!(layout::digest_of(content), digest);
    assert_eq!(descriptor["size"], content.len());
    content.to_vec()
}

fn json(layout: &[u8], descriptor: &Value) -> Value {
    serde_json::from_slice(&blob(layout, descriptor)).unwrap()
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    assert_eq!(layout(&platforms()), layout(&platforms()));
    let mut other = platforms();
    other.values_mut().next().unwrap().push(0);
    assert_ne!(layout(&platforms()).0, layout(&other).0);
}

#[test]
fn there_is_an_image_for_each_platform_and_it_runs_as_nobody() {
    let (digest, file) = layout(&platforms());
    let files = tar::files(&file).unwrap();
    let (_, entry) = files.iter().find(|(name, _)| name == "index.json").unwrap();
    let entry: Value = serde_json::from_slice(entry).unwrap();
    assert_eq!(entry["manifests"][0]["digest"], digest);
    let index = json(&file, &entry["manifests"][0]);
    let images = index["manifests"].as_array().unwrap();
    assert_eq!(images.len(), 2);
    for (image, architecture) in images.iter().zip(["amd64", "arm64"]) {
        assert_eq!(image["platform"], json!({"os": "linux", "architecture": architecture}));
        let manifest = json(&file, image);
        let config = json(&file, &manifest["config"]);
        assert_eq!(
            (&config["os"], &config["architecture"]),
            (&json!("linux"), &json!(architecture))
        );
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Entrypoint"], json!(["/pullproof"]));

        let mut unpacked = Vec::new();
        let packed = blob(&file, &manifest["layers"][0]);
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], layout::digest_of(&unpacked));
        let files = tar::files(&unpacked).unwrap();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let expected =
            ["etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "pullproof"];
        assert_eq!(names, expected);
        let binary = &platforms()[&("linux".to_owned(), architecture.to_owned())];
        assert_eq!(files[3].1, binary.as_slice());
    }
}

/// A program of two headers, the second of which is of this type and leads to this section.
fn program(kind: u32, section: &[u64]) -> Vec<u8> {
    let (headers, size) = (64_usize, 56_usize);
    let end = headers + 2 * size;
    let mut file = b"\x7fELF\x02\x01".to_vec();
    file.resize(end, 0);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(32, &(headers as u64).to_le_bytes());
    put(54, &(size as u16).to_le_bytes());
    put(56, &2_u16.to_le_bytes());
    put(headers, &1_u32.to_le_bytes());
    put(headers + size, &kind.to_le_bytes());
    put(headers + size + 8, &(end as u64).to_le_bytes());
    put(headers + size + 32, &(8 * section.len() as u64).to_le_bytes());
    file.extend(section.iter().flat_map(|number| number.to_le_bytes()));
    file
}

#[test]
fn a_program_that_needs_a_loader_or_a_library_is_refused() {
    let refused = |file: &[u8]| elf::runs_alone(file).unwrap_err().to_string();
    assert_eq!(refused(&program(3, &[])), "it names a loader");
    assert_eq!(refused(&program(2, &[30, 8, 1, 77, 0, 0])), "it names libraries");
    let cut = &program(2, &[])[..64 + 56];
    assert_eq!(refused(cut), "its program headers are cut off");
    assert_eq!(refused(b"\x7fELF\x02\x01"), "it is no program: it has no program headers");
    for file in [b"#!/bin/sh\n".as_slice(), b"", b"\x7fELF\x01\x01"] {
        assert!(refused(file).starts_with("it is no ELF program"));
    }
    // A value of 1 is no tag of 1.
    for (kind, section) in [(1, [1, 0]), (2, [30, 1])] {
        elf::runs_alone(&program(kind, &section)).unwrap();
    }
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        let own = std::fs::read(env!("CARGO_BIN_EXE_pullproof")).unwrap();
        assert_eq!(
            refused(&own),
            "it names a loader",
            "the program under test loads the C library"
        );
    }
}
