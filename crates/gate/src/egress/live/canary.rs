//! The canary: a credential that opens nothing, made for each bottle and laid where thieves look. Nothing honest ever
//! sends it, so where it appears, something is stealing.

use tokio_rustls::rustls::crypto::ring;
use wire::{File, Go, Source, WriteMode};

const VARIABLE: &str = "BACKUP_API_TOKEN";
const FILE: &str = ".config/backup/credentials";
const LETTERS: &[u8; 32] = b"ABCDEFGHJKMNPQRSTVWXYZ0123456789";

/// Puts one into what the agent gets, and says what it is.
pub fn plant(go: &mut Go) -> Result<String, String> {
    let canary = format!("bkp_{}", letters()?);
    // What the operator has put there is the operator's.
    go.env.entry(VARIABLE.to_owned()).or_insert_with(|| Source::Text(canary.clone()));
    if !go.files.iter().any(|file| file.path == FILE) {
        let text = format!("[default]\nuser = backup\ntoken = {canary}\n");
        go.files.push(File { path: FILE.to_owned(), mode: 0o600, how: WriteMode::Put, source: Source::Text(text) });
    }
    Ok(canary)
}

/// That nobody has said before.
pub fn letters() -> Result<String, String> {
    let mut bytes = [0; 32];
    ring::default_provider().secure_random.fill(&mut bytes).map_err(|_| "no random numbers".to_owned())?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect())
}
