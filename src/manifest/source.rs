//! A manifest's file: read within its bound, decoded, parsed; and the paths that it names.

use super::block::error_at;
use super::json::{self, printable};
use crate::exit::UserError;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The absolute path, without asking the disk.
pub fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// A path for an error.
pub fn shown(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// Reads a manifest; `None` where there is no such file.
///
/// # Errors
/// `UserError` for what is not a file, cannot be read, is too long, or is not UTF-8.
pub fn read(path: &Path) -> Result<Option<String>, UserError> {
    let bad = |why: &dyn std::fmt::Display| UserError::new(format!("{}: {why}", shown(path)));
    match path.metadata() {
        Ok(meta) if meta.is_file() => {}
        Ok(_) => return Err(bad(&"not a file")),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(bad(&e.kind())),
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| bad(&e.kind()))?;
    file.take(MAX_MANIFEST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| bad(&e.kind()))?;
    decode(path, bytes).map(Some)
}

/// The text of a manifest's bytes.
///
/// # Errors
/// `UserError` for too many bytes, and at the line of what is not UTF-8.
pub fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, UserError> {
    if bytes.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(UserError::new(format!("{}: longer than 1 MiB", shown(path))));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(e) => {
            let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
            let line = 1 + before.iter().filter(|b| **b == b'\n').count();
            Err(error_at(path, u32::try_from(line).unwrap_or(u32::MAX), "not UTF-8"))
        }
    }
}

/// Parses the text of a manifest.
///
/// # Errors
/// `UserError` as `file:line:column: what`.
pub fn parse(file: &Path, text: &str) -> Result<json::Node, UserError> {
    let error =
        |e: json::SyntaxError| UserError::new(format!("{}:{}:{}: {}", shown(file), e.at.line, e.at.column, e.what));
    json::parse(text).map_err(error)
}

/// The absolute path of what the user wrote in `file`: `~/…`, absolute, or relative to the file's folder.
///
/// # Errors
/// The reason, where `~` is unknown or another user's home is meant.
pub fn resolve_path(file: &Path, written: &str) -> Result<PathBuf, String> {
    resolve_path_in(file.parent().unwrap_or(Path::new("/")), Path::new(written))
}

/// The absolute path of `written`, which is relative to `folder` unless it begins with `/` or `~`.
///
/// # Errors
/// The reason, as for [`resolve_path`].
pub fn resolve_path_in(folder: &Path, written: &Path) -> Result<PathBuf, String> {
    match written.strip_prefix("~") {
        Ok(rest) => Ok(dirs::home_dir().ok_or("`~` is unknown: `HOME` is not set")?.join(rest)),
        Err(_) if written.to_string_lossy().starts_with('~') => {
            Err("of another user's home only the full path will do".into())
        }
        Err(_) => Ok(folder.join(written)),
    }
}
