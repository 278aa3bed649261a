//! The command line tool's modules use what is below them only. Crates are held by the compiler.

use super::sources::{Source, assert_none, sources, text};
use clap::CommandFactory;
use std::path::Path;

/// Highest first. A module may use what stands in a later row, and none of its own row.
const LAYERS: &[&[&str]] = &[
    &["main"],
    &["cmd"],
    &["supervise"],
    &["session"],
    &["secrets"],
    &["dashboard"],
    &["docker", "state", "render", "workspace"],
    &["trail"],
    &["plan", "probe"],
    &["facts"],
    &["manifest", "git"],
    &["spec", "say"],
    &["cli"],
    &["exit"],
    &["hint"],
    &["text"],
];

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Modules of the library that a line names.
pub fn named(line: &str) -> Vec<String> {
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

/// What several verbs need has a module of its own beside them.
#[test]
fn no_verb_uses_another_verb() {
    let program = claude_bottle::cli::Cli::command();
    let verbs: Vec<&str> = program.get_subcommands().map(|verb| verb.get_name()).collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for source in sources() {
        let Some(path) = source.path.strip_prefix("src/cmd/").filter(|path| *path != "mod.rs") else { continue };
        let first = path.split('/').next().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        // `super` is `cmd` in the files that stand directly in it.
        let roots: &[&str] = if first == path { &["crate::cmd::", "super::"] } else { &["crate::cmd::"] };
        for (n, line) in &source.code {
            for (root, at) in roots.iter().flat_map(|root| line.match_indices(root).map(move |(at, _)| (root, at))) {
                let rest = &line[at + root.len()..];
                let name = rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
                seen += 1;
                if verbs.contains(&name) && name != module {
                    wrong.push(format!("{}: `{module}` uses `{name}`", source.at(*n)));
                }
            }
        }
    }
    assert!(seen > 20, "{seen}: where do verbs name what they share?");
    assert_none(&wrong, "a verb uses no other verb");
}
