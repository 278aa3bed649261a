//! What is written about the program agrees with the program. Completions and the generated parts of the man pages come
//! from the one clap definition; `UPDATE=1 cargo test --test it docs` rewrites them.

mod completions;
mod man;
pub mod papers;

use clap::{Arg, Command, CommandFactory};
use claude_bottle::cli::Cli;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The file holds exactly this text; `UPDATE=1` makes it so.
fn hold(file: &str, text: &str) {
    let path = repository().join(file);
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        // In one move: other tests read it meanwhile.
        let new = path.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(new, path)).unwrap_or_else(|e| panic!("{file}: {e}"));
        return;
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    let differs = found.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or(found.lines().count().min(text.lines().count())) + 1;
    assert!(
        found == text,
        "{file}:{line} is not what the program says; `UPDATE=1 cargo test --test it docs` rewrites it"
    );
}

/// The real program, or the test fails and says what to type.
fn tool(name: &str) -> std::process::Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    let found: PathBuf = found.unwrap_or_else(|| panic!("`{name}` is not installed: sudo apt-get install {name}"));
    std::process::Command::new(found)
}

/// The whole command line, with what clap adds itself.
fn program() -> Command {
    let mut program = Cli::command();
    program.build();
    program
}

fn verbs() -> Vec<Command> {
    program().get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect()
}

/// `--yes`, `-y`, …
fn flags(of: &Command) -> BTreeSet<String> {
    let shown = of.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional());
    shown.flat_map(spellings).collect()
}

fn spellings(flag: &Arg) -> Vec<String> {
    let long = flag.get_long().map(|long| format!("--{long}"));
    let short = flag.get_short().map(|short| format!("-{short}"));
    long.into_iter().chain(short).collect()
}

/// Every `--flag` that stands in a text.
fn long_flags_in(text: &str) -> BTreeSet<String> {
    let part_of_a_flag = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let mut found = BTreeSet::new();
    for (start, _) in text.match_indices("--") {
        let before = text[..start].chars().next_back();
        let name: String = text[start + 2..].chars().take_while(|c| part_of_a_flag(*c)).collect();
        let name = name.trim_end_matches('-');
        let begins = before.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        if begins && name.starts_with(|c: char| c.is_ascii_lowercase()) {
            found.insert(format!("--{name}"));
        }
    }
    found
}
