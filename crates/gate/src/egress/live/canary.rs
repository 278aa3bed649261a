//! The canary: a credential that opens nothing, made for each bottle and put where a thief looks. No honest program ever
//! sends it, so a request that carries it is part of a theft.

use tokio_rustls::rustls::crypto::ring;
use wire::{File, Go, Source, WriteMode};

/// The environment variable that holds it.
const VARIABLE: &str = "BACKUP_API_TOKEN";
/// The file that holds it, relative to the home directory.
const FILE: &str = ".config/backup/credentials";
const LETTERS: &[u8; 32] = b"ABCDEFGHJKMNPQRSTVWXYZ0123456789";

/// Adds a new canary to what the agent gets, and returns it. Never overwrites what the operator has put there.
pub fn plant(go: &mut Go) -> Result<String, String> {
    let canary = format!("bkp_{}", random_letters()?);
    go.env.entry(VARIABLE.to_owned()).or_insert_with(|| Source::Text(canary.clone()));
    if !go.files.iter().any(|file| file.path == FILE) {
        let text = format!("[default]\nuser = backup\ntoken = {canary}\n");
        go.files.push(File { path: FILE.to_owned(), mode: 0o600, how: WriteMode::Put, source: Source::Text(text) });
    }
    Ok(canary)
}

/// 32 letters and digits from the cryptographic random number generator: 160 bits.
pub fn random_letters() -> Result<String, String> {
    let mut bytes = [0; 32];
    ring::default_provider().secure_random.fill(&mut bytes).map_err(|_| "no random numbers".to_owned())?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect())
}
