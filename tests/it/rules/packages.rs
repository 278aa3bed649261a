//! Dependencies, lints and versions in the Cargo.toml files.

use super::sources::{files, root, table, text};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A crate of ours that the command line tool is built of may need no more than it.
#[test]
fn the_command_line_has_the_chosen_dependencies_and_no_other() {
    let chosen = ["anyhow", "clap", "ctrlc", "dirs", "nix", "serde", "serde_json", "shlex", "tempfile", "xshell"];
    let mut crates = vec!["Cargo.toml".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(file) = crates.pop() {
        let needs = table(&file, "dependencies");
        for name in needs.keys().map(|key| key.trim_end_matches(".workspace")) {
            match name.strip_prefix("claude-bottle-") {
                Some(ours) => {
                    assert!(["policy", "sys", "wire"].contains(&ours), "{file}: {name}");
                    crates.push(format!("crates/{ours}/Cargo.toml"));
                }
                None => {
                    assert!(chosen.contains(&name), "{file}: {name}");
                    seen.insert(name.to_owned());
                }
            }
        }
        assert!(table(&file, "features").is_empty(), "{file} has features");
    }
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), chosen);
}

/// The compiler holds the layers of the crates; every crate but one forbids unsafe code.
#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    let cargo = |file: &PathBuf| file.ends_with("Cargo.toml") && file.as_path() != Path::new("fuzz/Cargo.toml");
    for file in files().into_iter().filter(cargo) {
        let lints = table(&file.display().to_string(), "lints");
        let shared = lints.get("workspace").is_some_and(|value| value == "true");
        assert!(shared || file == Path::new("crates/sys/Cargo.toml"), "{}", file.display());
    }
    assert_eq!(table("Cargo.toml", "workspace.lints.rust")["unsafe_code"], "\"forbid\"");
}

#[test]
fn versions_agree() {
    let version = table("Cargo.toml", "workspace.package")["version"].trim_matches('"').to_string();
    let lock = text(Path::new("Cargo.lock"));
    assert!(
        lock.contains(&format!("name = \"claude-bottle\"\nversion = \"{version}\"")),
        "Cargo.lock is not of {version}"
    );
    if let Ok(changes) = fs::read_to_string(root().join("CHANGELOG.md")) {
        let first = changes.lines().filter_map(|line| line.strip_prefix("## ")).find(|head| head.contains('.'));
        assert!(first.is_some_and(|head| head.contains(&version)), "CHANGELOG.md's newest version is not {version}");
    }
}
