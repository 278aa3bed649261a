//! The language of the sources: one name for one thing, constants that say what they are, comments that stand alone, and
//! signatures that can be read. A list of exceptions beside each rule says why there is one.

use super::sources::{assert_none, files, text};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of a crate's program, up to its unit tests.
struct Program {
    path: String,
    lines: Vec<String>,
}

impl Program {
    /// `.` for the command line tool, else `crates/…`.
    fn package(&self) -> &str {
        match self.path.strip_prefix("crates/").and_then(|rest| rest.split_once('/')) {
            Some((name, _)) => name,
            None => ".",
        }
    }

    fn at(&self, index: usize) -> String {
        format!("{}:{}", self.path, index + 1)
    }
}

fn programs() -> Vec<Program> {
    let is_program = |file: &PathBuf| {
        let tests = file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        let within =
            file.starts_with("src") || file.starts_with("crates") && file.iter().nth(2) == Some("src".as_ref());
        within && !tests && file.extension().is_some_and(|extension| extension == "rs")
    };
    let read = |file: PathBuf| {
        let whole = text(&file);
        let lines = whole.lines().take_while(|line| *line != "#[cfg(test)]").map(str::to_owned).collect();
        Program { path: file.display().to_string(), lines }
    };
    files().into_iter().filter(is_program).map(read).collect()
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The line without `pub`, `pub(crate)` and the like; `None` if it has none of them.
fn public(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(") ").map(|(_, rest)| rest),
        None => rest.strip_prefix(' '),
    }
}

/// Package and name of types that share a name, each known by its module: a longer name would only repeat that.
const SHARED_TYPE_NAMES: &[(&str, &str)] = &[];

#[test]
fn one_name_is_one_type_in_a_crate() {
    let mut found: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for program in programs() {
        for (index, line) in program.lines.iter().enumerate() {
            let declared = public(line).and_then(|rest| {
                ["struct ", "enum ", "trait ", "type "].iter().find_map(|kind| rest.strip_prefix(kind))
            });
            if let Some(name) = declared.map(word) {
                let key = (program.package().to_owned(), name.to_owned());
                found.entry(key).or_default().push(program.at(index));
            }
        }
    }
    let twice = found.into_iter().filter(|((package, name), places)| {
        places.len() > 1 && !SHARED_TYPE_NAMES.contains(&(package.as_str(), name.as_str()))
    });
    let wrong: Vec<String> = twice.map(|((package, name), places)| format!("{package}: `{name}` {places:?}")).collect();
    assert_none(&wrong, "two public types of one name");
}

#[test]
fn a_constant_says_what_it_is() {
    const NOT_A_NAME: &[&str] = &[
        "AGAIN", "BOUND", "BREATH", "EARLY", "ENOUGH", "FEW", "LARGEST", "LAST", "LATE", "LEAST", "LIMIT", "LONGEST",
        "MANY", "MOMENT", "MOST", "PATIENCE", "PAUSE", "SHORTEST", "SMALLEST", "SOON", "WAIT", "WIDEST",
    ];
    let mut wrong = Vec::new();
    for program in programs() {
        for (index, line) in program.lines.iter().enumerate() {
            let bare = public(line).unwrap_or_else(|| line.trim_start());
            let name = ["const ", "static "].iter().find_map(|kind| bare.strip_prefix(kind)).map(word);
            if let Some(name) = name.filter(|name| NOT_A_NAME.contains(name)) {
                wrong.push(format!("{}: `{name}`", program.at(index)));
            }
        }
    }
    assert_none(&wrong, "a constant's name says of what it is a limit, or how much of what");
}

/// Help of arguments: clap shows it behind the argument's name, which is its subject.
const SAID_TO_USERS: &[&str] = &["Of this command, or `manifest`", "Of the home and of the current directory"];

#[test]
fn a_comment_stands_alone() {
    let mut wrong = Vec::new();
    for program in programs() {
        let mut before = "";
        for (index, line) in program.lines.iter().enumerate() {
            let line = line.trim_start();
            if let Some(said) = line.strip_prefix("/// ").filter(|_| !before.starts_with("///")) {
                let dangling = ["The same", "Of ", "As above", "Whoever ", "Somebody ", "Nobody ", "Who "];
                let is_help = program.path == "src/cli.rs" && SAID_TO_USERS.iter().any(|start| said.starts_with(start));
                if !is_help && dangling.iter().any(|start| said.starts_with(start)) {
                    wrong.push(format!("{}: {said}", program.at(index)));
                }
            }
            before = line;
        }
    }
    assert_none(&wrong, "a comment has a subject, and needs no other one to be understood");
}

/// The text between the outer parentheses of each `fn`, by the index of its line.
fn signatures(program: &Program) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in program.lines.iter().enumerate() {
        let bare = public(line).unwrap_or_else(|| line.trim_start());
        let bare = ["async ", "const ", "unsafe ", "extern \"C\" "]
            .iter()
            .fold(bare, |bare, word| bare.strip_prefix(word).unwrap_or(bare));
        if !bare.starts_with("fn ") {
            continue;
        }
        let rest = program.lines[index..].iter().take(30).map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let (mut depth, mut angle, mut arguments) = (0, 0, String::new());
        let mut previous = ' ';
        for c in rest.chars().skip_while(|c| *c != '(' && *c != '<') {
            match c {
                '<' if depth == 0 => angle += 1,
                '>' if depth == 0 && previous != '-' => angle -= 1,
                '(' if depth == 0 && angle > 0 => {}
                '(' => depth += 1,
                ')' if depth == 0 && angle > 0 => {}
                ')' => depth -= 1,
                _ => {}
            }
            previous = c;
            if depth == 0 && angle == 0 && c == ')' {
                break;
            }
            if depth > 0 {
                arguments.push(c);
            }
        }
        found.push((index, arguments.strip_prefix('(').unwrap_or(&arguments).to_owned()));
    }
    found
}

/// Splits at commas that are in no brackets.
fn parts(list: &str) -> Vec<String> {
    let (mut parts, mut depth, mut previous) = (vec![String::new()], 0, ' ');
    for c in list.chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if previous == '-' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        previous = c;
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// How many values an argument brings: a tuple of three brings three.
fn values(argument: &str) -> usize {
    let kind = argument.split_once(": ").map_or("", |(_, kind)| kind).trim_start_matches(['&', ' ']);
    let kind = kind.strip_prefix("mut ").unwrap_or(kind);
    match kind.strip_prefix('(').and_then(|inside| inside.strip_suffix(')')) {
        Some(inside) => parts(inside).len().max(1),
        None => 1,
    }
}

/// Signatures with more: a table's row, whose columns have an order, and a method of another crate's trait.
const LONG_SIGNATURES: &[(&str, &str)] = &[
    ("crates/scan/src/dlp/pattern/rules.rs", "fn rule("),
    ("crates/gate/src/egress/live/upstream_tls.rs", "fn verify_server_cert("),
];

#[test]
fn a_function_has_at_most_four_arguments() {
    let mut wrong = Vec::new();
    for program in programs() {
        for (index, signature) in signatures(&program) {
            let arguments = parts(&signature);
            let arguments: Vec<&String> = arguments
                .iter()
                .filter(|argument| {
                    !["self", "&self", "&mut self", "mut self"].contains(&argument.as_str())
                        && !argument.starts_with("self: ")
                })
                .collect();
            if arguments.iter().any(|argument| argument.starts_with('(')) {
                wrong.push(format!("{}: a tuple is taken apart: {signature}", program.at(index)));
            }
            let count: usize = arguments.iter().map(|argument| values(argument)).sum();
            let line = &program.lines[index];
            let is_known = LONG_SIGNATURES.iter().any(|(path, start)| program.path == *path && line.contains(start));
            if count > 4 && !is_known {
                wrong.push(format!("{}: {count} arguments: {signature}", program.at(index)));
            }
        }
    }
    assert_none(&wrong, "at most four arguments, a tuple counted as what it holds");
}

/// A stranger has this repository, and no other paper.
#[test]
fn nothing_speaks_of_a_paper_that_is_not_here() {
    let absent = ["the", "design"].join(" ");
    let mut wrong = Vec::new();
    let told = |file: &PathBuf| {
        file.extension().is_some_and(|extension| ["rs", "md", "roff", "sh", "py"].iter().any(|e| extension == *e))
    };
    for file in files().into_iter().filter(told) {
        for (index, line) in text(&file).lines().enumerate() {
            let lower = line.to_lowercase();
            let at = lower.find(&absent).filter(|at| !lower[at + absent.len()..].starts_with(char::is_alphanumeric));
            if at.is_some() {
                wrong.push(format!("{}:{}: {line}", file.display(), index + 1));
            }
        }
    }
    assert_none(&wrong, "a paper that a stranger does not have");
}

#[test]
fn the_architecture_is_a_page() {
    let length = text(Path::new("ARCHITECTURE.md")).lines().count();
    assert!(length <= 150, "ARCHITECTURE.md has {length} lines: details go to docs/");
}

#[test]
fn the_rules_of_language_see_what_they_are_for() {
    assert_eq!(public("    pub(crate) struct A;"), Some("struct A;"));
    assert_eq!(public("pub fn f()"), Some("fn f()"));
    assert_eq!(public("public"), None);
    let lines = ["fn f<F: Fn(u8, u8) -> u8>(", "    &self,", "    (a, b): (A, B),", "    c: &[(u8, u8)],", ") -> u8 {"];
    let program = Program { path: "x.rs".to_owned(), lines: lines.map(str::to_owned).to_vec() };
    let found = signatures(&program);
    assert_eq!(parts(&found[0].1), ["&self", "(a, b): (A, B)", "c: &[(u8, u8)]"]);
    assert_eq!(["(a, b): (A, B)", "c: &[(u8, u8)]", "d: &(A, B, C)", "e: ()"].map(values), [2, 1, 3, 1]);
}
