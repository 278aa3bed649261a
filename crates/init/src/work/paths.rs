//! Where the agent works, where init keeps its baseline, and what a repository is called.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

pub struct WorkPaths {
    pub workspace: PathBuf,
    /// Folder of the baseline and of the blobs that belong to it.
    pub notes: PathBuf,
}

impl WorkPaths {
    pub fn new(home: &Path) -> WorkPaths {
        WorkPaths { workspace: home.join("workspace"), notes: home.join(".claude-bottle/baseline") }
    }

    /// File that holds the baseline.
    pub fn baseline(&self) -> PathBuf {
        self.notes.join("baseline.json")
    }

    /// File that is there once the agent's program starts: the baseline was taken, or never will be.
    pub fn baseline_done(&self) -> PathBuf {
        self.notes.with_extension("done")
    }

    /// Whether the workspace is a readable folder without entries.
    pub fn is_workspace_empty(&self) -> bool {
        std::fs::read_dir(&self.workspace).is_ok_and(|mut entries| entries.next().is_none())
    }
}

/// A path as a string of JSON: its bytes, and for one that is part of no UTF-8 a NUL, which no path has, and two digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathName(pub PathBuf);

impl Serialize for PathName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for chunk in self.0.as_os_str().as_bytes().utf8_chunks() {
            text.push_str(chunk.valid());
            chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\0{byte:02x}")));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for PathName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PathName, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut parts = text.split('\0');
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            let (digits, rest) = part.split_at_checked(2).ok_or_else(|| D::Error::custom("a path is cut"))?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(D::Error::custom)?);
            bytes.extend_from_slice(rest.as_bytes());
        }
        Ok(PathName(OsString::from_vec(bytes).into()))
    }
}

/// A repository's path relative to the workspace as users see and type it; `.` for the workspace itself.
pub fn repository_name(path: &Path) -> String {
    match path.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => path.to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_a_string_and_back() {
        for bytes in [&b"a/b"[..], b"caf\xe9", b"\xff\xfe/x", "é\u{fffd}".as_bytes(), b""] {
            let path = PathName(OsString::from_vec(bytes.to_vec()).into());
            let text = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<PathName>(&text).unwrap(), path, "{text}");
        }
        assert_eq!(
            serde_json::from_str::<PathName>("\"a/b\"").unwrap().0,
            Path::new("a/b"),
            "as earlier versions wrote it"
        );
        assert!(serde_json::from_str::<PathName>("\"a\\u0000f\"").is_err());
    }
}
