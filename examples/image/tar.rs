//! As much of the ustar format as an image needs: files and folders of root, at the start of 1970.

use anyhow::{Context as _, Result, ensure};

const BLOCK: usize = 512;

/// A folder, named without a slash at its end.
pub fn folder(archive: &mut Vec<u8>, name: &str) {
    header(archive, &format!("{name}/"), 0o755, 0, b'5');
}

/// A file with these permissions.
pub fn file(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) {
    header(archive, name, mode, content.len(), b'0');
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

/// Two empty blocks end an archive.
pub fn end(archive: &mut Vec<u8>) {
    archive.resize(archive.len() + 2 * BLOCK, 0);
}

fn header(archive: &mut Vec<u8>, name: &str, mode: u32, size: usize, kind: u8) {
    let mut block = [0_u8; BLOCK];
    let mut put =
        |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, &format!("{mode:07o}"));
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(257, "ustar\x0000");
    block[156] = kind;
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend_from_slice(&block);
}

/// The files of an archive that this module wrote.
pub fn files(archive: &[u8]) -> Result<Vec<(String, &[u8])>> {
    let mut files = Vec::new();
    let mut rest = archive;
    while let Some((block, after)) = rest.split_at_checked(BLOCK)
        && block[0] != 0
    {
        ensure!(&block[257..262] == b"ustar", "this is no tar archive of `image build`");
        let text = |from: usize, to: usize| {
            String::from_utf8_lossy(&block[from..to]).trim_end_matches('\0').to_owned()
        };
        let size = usize::from_str_radix(&text(124, 136), 8).context("a size in octal digits")?;
        let content = after.get(..size).context("the archive ends within a file")?;
        if block[156] == b'0' {
            files.push((text(0, 100), content));
        }
        rest = after.get(size.next_multiple_of(BLOCK)..).unwrap_or_default();
    }
    Ok(files)
}
