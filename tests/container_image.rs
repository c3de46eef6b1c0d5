//! The project's own image as `make image` builds it: a layout that registries and runtimes read, the
//! same bytes from the same parts, and nothing in it but the program and what it needs.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::{Value, json};

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
