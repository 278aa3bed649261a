//! Random values from the kernel.

use std::fs::File;
use std::io::{self, Read};

/// `N` unpredictable bytes.
///
/// # Errors
/// `/dev/urandom` cannot be read.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// `length` characters of `a-z0-9`, each equally likely.
///
/// # Errors
/// `/dev/urandom` cannot be read.
pub fn word(length: usize) -> io::Result<String> {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut word = String::with_capacity(length);
    while word.len() < length {
        // 252 is the largest multiple of 36 that a byte can hold: larger bytes would favour the first letters.
        let fair = bytes::<32>()?.into_iter().filter(|b| *b < 252).map(|b| LETTERS[usize::from(b % 36)] as char);
        word.extend(fair.take(length - word.len()));
    }
    Ok(word)
}
