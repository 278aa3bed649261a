//! Where the model's token may come from on this machine, by names alone: is a variable set, is there a program, is there
//! an entry's file? Nothing is run, and no value is read.

use crate::probe;
use crate::text;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A source of the token. The manifest gets its name, never a copy of the token.
pub struct TokenSource {
    /// The word that chooses it.
    pub name: String,
    /// Its description.
    pub shown: String,
    /// The `auth` of a route that uses it.
    pub auth: Value,
    /// What the user must do before it gives a token.
    pub todo: Option<String>,
}

/// The variables in which Claude Code looks for its token.
const VARIABLES: [&str; 3] = [OAUTH, "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"];
const OAUTH: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// Usual entries in the store of `pass`, and the variable whose kind of token each holds.
const ENTRIES: [(&str, &str); 6] = [
    (ENTRY, OAUTH),
    ("claude", OAUTH),
    ("claude/token", OAUTH),
    ("anthropic", "ANTHROPIC_API_KEY"),
    ("anthropic/api-key", "ANTHROPIC_API_KEY"),
    ("api/anthropic", "ANTHROPIC_API_KEY"),
];
const ENTRY: &str = "claude-code";

/// Password managers, and the arguments with which each prints an entry alone.
const MANAGERS: [(&str, &[&str]); 6] = [
    ("pass", &["show", ENTRY]),
    ("gopass", &["show", "-o", ENTRY]),
    ("op", &["read", "op://Private/claude-code/credential"]),
    ("bw", &["get", "password", ENTRY]),
    ("secret-tool", &["lookup", "service", ENTRY]),
    ("keepassxc-cli", &["show", "-q", "-s", "-a", "Password", "Passwords.kdbx", ENTRY]),
];

/// All sources, those that work at once first.
pub fn sources() -> Vec<TokenSource> {
    let is_set = |name: &&str| probe::variable(name).is_some();
    let mut sources: Vec<TokenSource> = VARIABLES.into_iter().filter(is_set).map(|name| variable(name, None)).collect();
    let has_entry = |(entry, _): &&(&str, &str)| pass_store().join(format!("{entry}.gpg")).is_file();
    let entry = ENTRIES.iter().find(has_entry).filter(|_| probe::can_run("pass", Path::new("/")));
    sources.extend(entry.map(|(entry, kind)| command(&["pass", "show", entry], kind, None)));
    if !is_set(&OAUTH) {
        sources.push(variable(OAUTH, Some(format!("export {OAUTH}=…    # `claude setup-token` prints one"))));
    }
    for (program, args) in MANAGERS.iter().filter(|(program, _)| probe::can_run(program, Path::new("/"))) {
        if *program != "pass" || entry.is_none() {
            let argv = [&[*program], *args].concat();
            let todo = "put what `claude setup-token` prints where that command finds it".to_owned();
            sources.push(command(&argv, OAUTH, Some(todo)));
        }
    }
    sources
}

fn variable(name: &str, todo: Option<String>) -> TokenSource {
    let state = if todo.is_some() { "is not set yet" } else { "is set" };
    TokenSource {
        name: name.to_owned(),
        shown: format!("`{name}`, which {state}"),
        auth: json!({ "token_ref": name }),
        todo,
    }
}

fn command(argv: &[&str], kind: &str, todo: Option<String>) -> TokenSource {
    let shown = format!("what `{}` prints", text::shell_command(argv.iter().copied()));
    TokenSource { name: argv[0].to_owned(), shown, auth: json!({ "token_cmd": argv, "as": kind }), todo }
}

/// The folder in which `pass` keeps its entries.
fn pass_store() -> PathBuf {
    let usual = || dirs::home_dir().unwrap_or_default().join(".password-store");
    probe::variable("PASSWORD_STORE_DIR").map_or_else(usual, PathBuf::from)
}
