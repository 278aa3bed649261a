//! Output that is kept in `tests/snap`, compared word by word.

use std::fs::{self};
use std::path::Path;

pub const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snap");

/// Compares `text` with the snapshot `name`.
#[track_caller]
pub fn compare(name: &str, text: &str) {
    let path = Path::new(SNAPSHOTS).join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "differs from tests/snap/{name}; `UPDATE=1 cargo test --test it` takes what came");
}
