//! Where the model's token may come from on this machine. Only names are looked at: whether a variable is set, a program
//! there, an entry's file. Nothing is run, and no value is read.

use crate::probe;
use serde_json::{Value, json};
use std::path::PathBuf;

/// One place. What goes into the manifest is its name, never a copy.
pub struct Place {
    /// What can be typed for it.
    pub name: String,
    /// What it is, in words.
    pub shown: String,
    /// A route's `auth`.
    pub auth: Value,
    /// What is left to do before it gives a token.
    pub todo: Option<String>,
}

/// As Claude Code looks for them.
const VARIABLES: [&str; 3] = [OAUTH, "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"];
const OAUTH: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// Entries that people have, below the store of `pass`, and what kind of token is in them.
const ENTRIES: [(&str, &str); 6] = [
    (ENTRY, OAUTH),
    ("claude", OAUTH),
    ("claude/token", OAUTH),
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("anthropic/api-key", "ANTHROPIC_API_KEY"),
    ("api/anthropic", "ANTHROPIC_API_KEY"),
];
const ENTRY: &str = "claude-code";

/// Password managers, and how each prints an entry and nothing else.
const MANAGERS: [(&str, &[&str]); 6] = [
    ("pass", &["show", ENTRY]),
    ("gopass", &["show", "-o", ENTRY]),
    ("op", &["read", "op://Private/claude-code/credential"]),
    ("bw", &["get", "password", ENTRY]),
    ("secret-tool", &["lookup", "service", ENTRY]),
    ("keepassxc-cli", &["show", "-q", "-s", "-a", "Password", "Passwords.kdbx", ENTRY]),
];

/// All that could be taken, what works at once first.
pub fn places() -> Vec<Place> {
    let is_set = |name: &&str| probe::variable(name).is_some();
    let mut places: Vec<Place> = VARIABLES.into_iter().filter(is_set).map(|name| variable(name, None)).collect();
    let has_entry = |(entry, _): &&(&str, &str)| store().join(format!("{entry}.gpg")).is_file();
    let entry = ENTRIES.iter().find(has_entry).filter(|_| probe::is_on_path("pass"));
    places.extend(entry.map(|(entry, kind)| command(&["pass", "show", entry], kind, None)));
    if !is_set(&OAUTH) {
        places.push(variable(OAUTH, Some(format!("export {OAUTH}=…    # `claude setup-token` prints one"))));
    }
    for (program, args) in MANAGERS.iter().filter(|(program, _)| probe::is_on_path(program)) {
        if *program != "pass" || entry.is_none() {
            let argv = [&[*program], *args].concat();
            let todo = "put what `claude setup-token` prints where that command finds it".to_owned();
            places.push(command(&argv, OAUTH, Some(todo)));
        }
    }
    places
}

fn variable(name: &str, todo: Option<String>) -> Place {
    let state = if todo.is_some() { "is not set yet" } else { "is set" };
    Place { name: name.to_owned(), shown: format!("`{name}`, which {state}"), auth: json!({ "token_ref": name }), todo }
}

fn command(argv: &[&str], kind: &str, todo: Option<String>) -> Place {
    let typed = shlex::try_join(argv.iter().copied()).unwrap_or_default();
    let shown = format!("what `{typed}` prints");
    Place { name: argv[0].to_owned(), shown, auth: json!({ "token_cmd": argv, "as": kind }), todo }
}

/// Where `pass` keeps its entries.
fn store() -> PathBuf {
    let usual = || dirs::home_dir().unwrap_or_default().join(".password-store");
    probe::variable("PASSWORD_STORE_DIR").map_or_else(usual, PathBuf::from)
}
