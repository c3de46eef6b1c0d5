//! As much of the ELF format as it takes to tell that a program needs nothing beside it: no loader and
//! no library, of which an image with one file has none.

use anyhow::{Result, ensure};

/// Types of program headers.
const DYNAMIC: usize = 2;
const LOADER: usize = 3;
/// The tag of an entry that names a library.
const LIBRARY: usize = 1;

/// Fails unless this is a program (64 bit, little endian) that runs alone. A static program whose place
/// in memory is random has a dynamic section as well, but one without libraries.
pub fn runs_alone(file: &[u8]) -> Result<()> {
    ensure!(file.starts_with(b"\x7fELF\x02\x01"), "it is no ELF program of 64 bits, little endian");
    let (start, size, count) = (number(file, 32, 8), number(file, 54, 2), number(file, 56, 2));
    ensure!(count > 0, "it is no program: it has no program headers");
    for at in (0..count).map(|header| start.saturating_add(header * size)) {
        let part = file.get(at..).unwrap_or_default();
        ensure!(!part.is_empty(), "its program headers are cut off");
        let kind = number(part, 0, 4);
        ensure!(kind != LOADER, "it names a loader");
        ensure!(kind != DYNAMIC || !names_libraries(file, part), "it names libraries");
    }
    Ok(())
}

fn names_libraries(file: &[u8], header: &[u8]) -> bool {
    let section = file.get(number(header, 8, 8)..).unwrap_or_default();
    let section = &section[..section.len().min(number(header, 32, 8))];
    section.chunks_exact(16).any(|entry| number(entry, 0, 8) == LIBRARY)
}

fn number(file: &[u8], at: usize, bytes: usize) -> usize {
    let field = file.get(at..).unwrap_or_default().iter().take(bytes);
    field.rev().fold(0, |value, byte| (value << 8) | usize::from(*byte))
}
