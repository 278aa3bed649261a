//! `init size`: how much space the home takes.

use crate::failure::Failure;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Size of the unit in which the kernel counts the blocks of a file, in bytes.
const BLOCK_BYTES: u64 = 512;

/// Prints one line of JSON: the count of files and the bytes that they take on the disk. Links are counted and not
/// followed; folders that cannot be read count as empty.
///
/// # Errors
/// Stdout cannot be written.
pub fn run(home: &Path) -> Result<i32, Failure> {
    let (mut files, mut bytes, mut folders) = (0u64, 0u64, vec![home.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                bytes += meta.blocks() * BLOCK_BYTES;
            }
        }
    }
    writeln!(std::io::stdout(), r#"{{"files":{files},"bytes":{bytes}}}"#)?;
    Ok(0)
}
