//! The repository's own rules, held by reading its files: layers, forbidden words, heads of files, dependencies,
//! versions, and that nothing here speaks of one machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file of the repository, relative, sorted; what is built or belongs to git is none.
fn files() -> Vec<PathBuf> {
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

fn text(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(root().join(file)).unwrap()).into_owned()
}

/// A source of the command line tool or of a crate: its path and its lines of code, with their numbers.
struct Source {
    path: String,
    code: Vec<(usize, String)>,
}

impl Source {
    /// The module of the command line tool, or `main`; `None` for a crate's.
    fn module(&self) -> Option<&str> {
        let first = self.path.strip_prefix("src/")?.split('/').next()?;
        Some(first.strip_suffix(".rs").unwrap_or(first))
    }

    fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// Without comments, without string literals, and without the unit tests at a file's end.
fn sources() -> Vec<Source> {
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
fn bare(line: &str) -> String {
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

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// Highest first. A module may use what stands in a later row, and never its own row but for `BESIDE`.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cmd"],
    &["session"],
    &["secrets"],
    &["docker", "state", "render", "workspace"],
    &["plan", "probe"],
    &["facts"],
    &["manifest", "git"],
    &["spec", "say"],
    &["cli"],
    &["exit"],
    &["text"],
];

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Modules of the library that a line names.
fn named(line: &str) -> Vec<String> {
    let word = |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for root in ["crate::", "claude_bottle::"] {
        for (at, _) in line.match_indices(root) {
            let rest = &line[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => {
                    let group = group.split_once('}').map_or(group, |(inside, _)| inside);
                    names.extend(group.split(',').map(|part| word(part.trim())));
                }
                None => names.push(word(rest)),
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn layers_use_what_is_below_them_only() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(module) = source.module().filter(|module| *module != "lib") else { continue };
        for (n, line) in &source.code {
            if line.ends_with("crate::{") || line.contains("super::super::super::") {
                wrong.push(format!("{}: a way to a module that this test cannot see", source.at(*n)));
            }
            for name in named(line) {
                let below = rank(module).zip(rank(&name)).is_some_and(|(mine, theirs)| mine < theirs);
                if !below && module != name {
                    wrong.push(format!("{}: `{module}` uses `{name}`", source.at(*n)));
                }
            }
        }
    }
    assert_none(&wrong, "layers go downwards only");
}

#[test]
fn the_library_lists_its_modules_in_the_order_of_the_layers() {
    let lib = text(Path::new("src/lib.rs"));
    let modules: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
        .filter_map(|rest| rest.strip_suffix(';'))
        .collect();
    let ranks: Vec<usize> = modules.iter().map(|m| rank(m).unwrap_or_else(|| panic!("`{m}` is in no layer"))).collect();
    assert!(ranks.is_sorted(), "{modules:?}");
    for module in sources().iter().filter_map(Source::module).filter(|m| !["main", "lib", "images"].contains(m)) {
        assert!(modules.contains(&module), "src/lib.rs does not list `{module}`");
    }
}

#[test]
fn words_stand_only_where_they_belong() {
    // A word, and the beginnings of the paths that may use it. What a lint can forbid, Cargo.toml forbids.
    let rules: &[(&str, &[&str])] = &[
        ("xshell", &["src/docker/", "src/secrets.rs"]),
        (
            "Command::new",
            &["src/docker/", "src/git.rs", "src/secrets.rs", "crates/sys/", "crates/init/", "crates/gate/"],
        ),
    ];
    let pure = [
        "src/plan/",
        "src/render/",
        "src/facts",
        "src/spec.rs",
        "src/cli.rs",
        "src/cli/",
        "src/text.rs",
        "crates/policy/",
        "crates/scan/",
    ];
    let world = [
        "std::fs",
        "std::env",
        "std::process",
        "std::net::Tcp",
        "std::net::Udp",
        "std::thread",
        "SystemTime",
        "Instant",
        "File::",
        "fs::",
        "env::",
        "nix::",
        "dirs::",
    ];
    let mut wrong = Vec::new();
    for source in sources() {
        let within = |places: &[&str]| places.iter().any(|place| source.path.starts_with(place));
        for (n, line) in &source.code {
            for (word, places) in rules {
                if line.contains(word) && !within(places) {
                    wrong.push(format!("{}: `{}`", source.at(*n), word.trim()));
                }
            }
            for word in world.iter().filter(|word| within(&pure) && has_word(line, word)) {
                wrong.push(format!("{}: `{word}` in a pure layer", source.at(*n)));
            }
        }
    }
    assert_none(&wrong, "words out of place");
}

/// `fs::` is not in `prefs::`.
fn has_word(line: &str, word: &str) -> bool {
    let before = |at: usize| line[..at].chars().next_back();
    line.match_indices(word).any(|(at, _)| !before(at).is_some_and(|c| c.is_alphanumeric() || c == '_'))
}

#[test]
fn every_source_opens_with_its_purpose() {
    let mut wrong = Vec::new();
    for file in files().into_iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        let text = text(&file);
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        if head.is_empty() || head.len() > 8 || head[0].trim().len() < 15 {
            wrong.push(format!("{}: {} lines of `//!`", file.display(), head.len()));
        }
    }
    assert_none(&wrong, "a file opens with its purpose and invariant, in one to eight lines");
}

#[test]
fn nobody_is_called_by_a_name_that_says_nothing() {
    let wrong: Vec<String> = files()
        .iter()
        .filter(|file| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
            file.extension().is_some_and(|e| e == "rs")
                && ["util", "helper", "manager", "common", "misc"].iter().any(|word| stem.contains(word))
        })
        .map(|file| file.display().to_string())
        .collect();
    assert_none(&wrong, "a file's name says what is in it");
}

/// `name = …` of one table of a Cargo.toml.
fn table(file: &str, name: &str) -> BTreeMap<String, String> {
    let cargo = text(Path::new(file));
    let lines = cargo.lines().skip_while(|line| *line != format!("[{name}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let pairs = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(" = "));
    pairs.map(|(key, value)| (key.trim().into(), value.trim().into())).collect()
}

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

/// What is committed works with the defaults of package managers and on any machine: no host of a registry or mirror,
/// no absolute path of one person's.
#[test]
fn nothing_speaks_of_one_machine() {
    let mut wrong = Vec::new();
    // Cargo's lock names its own index.
    for file in files().into_iter().filter(|file| file != Path::new("Cargo.lock")) {
        for (n, line) in text(&file).lines().enumerate() {
            let says = foreign_host(line).or_else(|| foreign_path(line));
            wrong.extend(says.map(|what| format!("{}:{}: `{what}`", file.display(), n + 1)));
        }
    }
    assert_none(&wrong, "no hosts of registries or mirrors, no paths of one machine");
}

/// A URL's host with a label that only registries, mirrors and proxies of packages have.
fn foreign_host(line: &str) -> Option<&str> {
    const LABELS: [&str; 9] =
        ["registry", "mirror", "mirrors", "nexus", "artifactory", "artifacts", "packages", "pypi", "index"];
    line.match_indices("://").find_map(|(at, _)| {
        let rest = &line[at + 3..];
        let rest =
            rest.split_once('@').map_or(rest, |(user, host)| if user.contains(['/', ' ']) { rest } else { host });
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-').unwrap_or(rest.len());
        let host = &rest[..end];
        let example = ["example", "test", "org"].iter().any(|last| host.ends_with(last)) && host.contains("example");
        let marked = host.split(['.', '-']).any(|label| LABELS.contains(&label.trim_end_matches(char::is_numeric)));
        (marked && host.contains('.') && !example).then_some(host)
    })
}

/// An absolute path into the home of a person, or of root; `/home/agent` is the bottle's own.
fn foreign_path(line: &str) -> Option<&str> {
    ["/home/", "/root/", "/Users/"].iter().find_map(|folder| {
        line.match_indices(folder).find_map(|(at, _)| {
            let starts = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "}.~_-$)>\"".contains(c));
            let rest = &line[at + folder.len()..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
            (starts && end > 0 && &rest[..end] != "agent").then(|| &line[at..at + folder.len() + end])
        })
    })
}

#[test]
fn the_rules_see_what_they_are_for() {
    assert_eq!(bare(r#"call("a // b", '"', x); // crate::docker"#), "call(, ', x);");
    assert_eq!(named("use crate::{docker, plan::Step};"), ["docker", "plan"]);
    assert_eq!(named("pub fn f(x: crate::state::Mark) -> claude_bottle::plan::Route {"), ["state", "plan"]);
    assert!(has_word("let x = fs::read(y);", "fs::") && !has_word("prefs::read(y)", "fs::"));
    // Put together here, so that this file does not name one itself.
    let url = |rest: &str| format!("https:{}{rest}", "//");
    assert_eq!(foreign_host(&url("registry.corp.net/x")), Some("registry.corp.net"));
    assert_eq!(foreign_host(&url("me:pw@mirror1.corp.net:8080/x")), Some("mirror1.corp.net"));
    assert_eq!(foreign_host(&url("registry.example.org/x")), None);
    assert_eq!(foreign_host(&url("docs.rs/registry")), None);
    let path = |rest: &str| format!("see {}{rest}", "/home");
    assert_eq!(foreign_path(&path("/somebody/x")), Some("/home/somebody"));
    assert_eq!(foreign_path(&path("/agent/workspace")), None);
    assert_eq!(foreign_path(&format!("{{top}}{}/x.json", "/home")), None);
}
