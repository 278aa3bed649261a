//! What of a bottle's work the host has already, as the host tells init: it does not count as work any more.

use crate::Blob;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest JSON of an [`Elsewhere`] that init reads, in bytes: patches are bounded by the host, and base64 adds a third.
pub const MAX_ELSEWHERE_BYTES: u64 = 512 << 20;
/// Digits of the length with which init ends an answer of two patches.
pub const LENGTH_DIGITS: usize = 20;

/// All that the host has. Empty: nothing was brought home.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Elsewhere {
    /// Commits and tags to which refs of the host's repositories lead.
    pub commits: Vec<String>,
    /// Uncommitted changes that were applied there, by repository as [`crate::Repository::path`] names it.
    pub changes: BTreeMap<String, AppliedChanges>,
    /// Files outside repositories, as they were written there.
    pub files: Vec<WrittenFile>,
}

/// The uncommitted changes of a repository that were applied last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedChanges {
    /// The commit that they are made on; `None` before the first one.
    pub base: Option<String>,
    /// Files that the patch changes and the host lacks, relative to the repository. A name need not be UTF-8.
    pub left_out: Vec<Blob>,
    pub patch: Blob,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenFile {
    /// Relative to the workspace. A name need not be UTF-8.
    pub path: Blob,
    pub content: ContentHash,
    #[serde(default)]
    pub executable: bool,
}

/// Length and hash of a file's content, to tell whether a user has changed a file since. It is FNV-1a with 128 bits
/// (<http://www.isthe.com/chongo/tech/comp/fnv/>): two contents can be made to have the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(String);

/// Computes a [`ContentHash`] of content in pieces.
#[derive(Debug, Clone)]
pub struct ContentHasher {
    length: u64,
    state: u128,
}

impl Default for ContentHasher {
    fn default() -> ContentHasher {
        ContentHasher { length: 0, state: 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d }
    }
}

impl ContentHasher {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    pub fn update(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        for byte in bytes {
            self.state = (self.state ^ u128::from(*byte)).wrapping_mul(ContentHasher::PRIME);
        }
    }

    pub fn finish(&self) -> ContentHash {
        ContentHash(format!("{}-{:032x}", self.length, self.state))
    }
}

impl ContentHash {
    /// # Errors
    /// Those of the reader.
    pub fn of(mut content: impl std::io::Read) -> std::io::Result<ContentHash> {
        let mut hasher = ContentHasher::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match content.read(&mut buffer)? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&buffer[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_has_a_known_hash() {
        // From the test vectors of the page above.
        for (text, hash) in [
            ("", "6c62272e07bb014262b821756295c58d"),
            ("a", "d228cb696f1a8caf78912b704e4a8964"),
            ("foobar", "343e1662793c64bf6f0d3597ba446f18"),
        ] {
            let wanted = ContentHash(format!("{}-{hash}", text.len()));
            assert_eq!(ContentHash::of(text.as_bytes()).unwrap(), wanted, "{text}");
        }
    }
}
