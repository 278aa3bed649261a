//! Reads the repository's files for the rules: which there are, and a source's code without comments, strings and tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository, relative, sorted; what is built or belongs to git is none.
pub fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name();
            let kind = entry.file_type().unwrap();
            if name == ".git" || name == "target" || name.to_string_lossy().ends_with(".log") {
                continue;
            } else if kind.is_dir() {
                walk(&entry.path(), into);
            } else if kind.is_file() {
                into.push(entry.path().strip_prefix(root()).unwrap().to_path_buf());
            }
        }
    }
    let mut all = Vec::new();
    walk(root(), &mut all);
    all.sort();
    all
}

pub fn text(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(root().join(file)).unwrap()).into_owned()
}

/// A source of the command line tool or of a crate: its path and its lines of code, with their numbers.
pub struct Source {
    pub path: String,
    pub code: Vec<(usize, String)>,
}

impl Source {
    /// The module of the command line tool, or `main`; `None` for a crate's.
    pub fn module(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// Without comments, without string literals, and without the unit tests at a file's end.
pub fn sources() -> Vec<Source> {
    let rust = |file: &PathBuf| {
        let program =
            file.starts_with("src") || file.starts_with("crates") && file.iter().nth(2) == Some("src".as_ref());
        program && file.extension().is_some_and(|e| e == "rs")
    };
    let read = |file: PathBuf| {
        let whole = text(&file);
        let tests = file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        let code = whole.lines().take_while(|line| !tests && *line != "#[cfg(test)]").enumerate();
        let code = code.map(|(n, line)| (n + 1, bare(line))).filter(|(_, line)| !line.is_empty()).collect();
        Source { path: file.display().to_string(), code }
    };
    files().into_iter().filter(rust).map(read).collect()
}

/// One line of code: a comment cut off, the inside of its strings taken out.
pub fn bare(line: &str) -> String {
    let (mut out, mut inside, mut chars) = (String::new(), false, line.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' if inside => drop(chars.next()),
            '\'' if !inside && chars.peek() == Some(&'"') => drop(chars.next()),
            '"' => inside = !inside,
            '/' if !inside && chars.peek() == Some(&'/') => break,
            _ if inside => {}
            _ => out.push(c),
        }
    }
    out.trim().to_string()
}

pub fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// `fs::` is not in `prefs::`.
pub fn has_word(line: &str, word: &str) -> bool {
    let before = |at: usize| line[..at].chars().next_back();
    line.match_indices(word).any(|(at, _)| !before(at).is_some_and(|c| c.is_alphanumeric() || c == '_'))
}

/// `name = …` of one table of a Cargo.toml.
pub fn table(file: &str, name: &str) -> BTreeMap<String, String> {
    let cargo = text(Path::new(file));
    let lines = cargo.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let pairs = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    pairs.map(|(key, value)| (key.trim().into(), value.trim().into())).collect()
}
