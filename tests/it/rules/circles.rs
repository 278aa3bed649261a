//! Modules that lie beside each other use each other in one direction only. A module's own file, which its parts may use, is
//! not looked at: what stands there is what they share.

use super::sources::{Source, assert_none, sources};
use std::collections::{BTreeMap, BTreeSet};

/// Circles that stay: the package, the module they lie in, their names, and why.
const CIRCLES: &[(&str, &str, &[&str], &str)] = &[
    (
        "claude-bottle",
        "manifest",
        &["auth", "route"],
        "`auth` is a key of a route, and what is a header's name is the route's",
    ),
    ("claude-bottle", "plan", &["gate", "step"], "the gate's container is one of the steps, and has the labels of all"),
    ("scan", "dlp", &["text_scanner", "unpack", "view"], "a text may hold a file, which holds texts"),
];

type ModulePath = Vec<String>;

/// The package that a source is of, and the path of its module; the root's is empty.
fn module_of(source: &Source) -> (String, ModulePath) {
    let (package, below) = match source.path.strip_prefix("crates/").and_then(|rest| rest.split_once("/src/")) {
        Some((package, below)) => (package, below),
        None => ("claude-bottle", source.path.trim_start_matches("src/")),
    };
    let mut path: ModulePath = below.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        path.pop();
    }
    (package.to_owned(), path)
}

/// Every path that begins here, groups taken apart: `a::{b, c::d}` is two. Ends at the first character of no path.
fn paths(text: &str) -> Vec<ModulePath> {
    fn read(text: &str, before: &ModulePath, into: &mut Vec<ModulePath>) -> usize {
        let mut path = before.clone();
        let mut at = 0;
        loop {
            let rest = &text[at..];
            if let Some(group) = rest.strip_prefix('{') {
                let mut inside = 1;
                loop {
                    inside += group[inside - 1..].len() - group[inside - 1..].trim_start_matches([' ', ',']).len();
                    match rest[inside..].chars().next() {
                        None => return at + inside,
                        Some('}') => return at + inside + 1,
                        Some(_) => {
                            let length = read(&rest[inside..], &path, into);
                            inside += length.max(1);
                        }
                    }
                }
            }
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if end > 0 {
                path.push(rest[..end].to_owned());
            }
            at += end;
            match text[at..].strip_prefix("::") {
                Some(_) if end > 0 => at += 2,
                _ => {
                    into.push(path);
                    return at;
                }
            }
        }
    }
    let mut found = Vec::new();
    read(text, &Vec::new(), &mut found);
    found
}

/// Modules of the package that a source names, as far as they are files.
fn uses(source: &Source, own: &ModulePath, modules: &BTreeSet<ModulePath>) -> BTreeSet<ModulePath> {
    let text: String = source.code.iter().map(|(_, line)| format!("{line} ")).collect();
    let mut named = Vec::new();
    for (at, word) in text.match_indices("crate::") {
        if !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            named.extend(paths(&text[at + word.len()..]));
        }
    }
    for (at, _) in text.match_indices("super::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &text[at..];
        let ups = rest.split("::").take_while(|part| *part == "super").count();
        let base = &own[..own.len().saturating_sub(ups)];
        named.extend(paths(&rest["super::".len() * ups..]).into_iter().map(|path| [base, &path].concat()));
    }
    let deepest =
        |path: ModulePath| (0..=path.len()).rev().map(|end| path[..end].to_vec()).find(|path| modules.contains(path));
    named.into_iter().filter_map(deepest).collect()
}

/// Where modules lie beside each other: the package, and the module they lie in.
type Beside = (String, ModulePath);

/// For each place, which module of it uses which other one.
fn graphs() -> BTreeMap<Beside, BTreeMap<String, BTreeSet<String>>> {
    let sources = sources();
    let mut modules: BTreeMap<String, BTreeSet<ModulePath>> = BTreeMap::new();
    for source in &sources {
        let (package, path) = module_of(source);
        modules.entry(package).or_default().insert(path);
    }
    let mut graphs: BTreeMap<Beside, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for source in &sources {
        let (package, own) = module_of(source);
        for used in uses(source, &own, &modules[&package]) {
            let shared = own.iter().zip(&used).take_while(|(mine, its)| mine == its).count();
            if let (Some(mine), Some(its)) = (own.get(shared), used.get(shared)) {
                let graph = graphs.entry((package.clone(), own[..shared].to_vec())).or_default();
                graph.entry(mine.clone()).or_default().insert(its.clone());
            }
        }
    }
    graphs
}

fn reachable(graph: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut reached, mut left) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(next) = left.pop() {
        for used in graph.get(&next).into_iter().flatten() {
            if reached.insert(used.clone()) {
                left.push(used.clone());
            }
        }
    }
    reached
}

/// Sets of modules each of which uses all others, in the end.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<String>> =
        graph.keys().map(|name| (name, reachable(graph, name))).collect();
    let mut found = BTreeSet::new();
    for (name, reached_from) in &reached {
        let circle: BTreeSet<String> = reached_from
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(*name)))
            .cloned()
            .collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found
}

#[test]
fn modules_beside_each_other_have_no_circles() {
    let mut wrong = Vec::new();
    for ((package, within), graph) in graphs() {
        for circle in circles(&graph) {
            let names: Vec<&str> = circle.iter().map(String::as_str).collect();
            let within = within.join("::");
            match CIRCLES
                .iter()
                .any(|(p, w, n, _)| *p == package && *w == within && names.iter().all(|name| n.contains(name)))
            {
                true => {}
                false => wrong.push(format!("{package}, in `{within}`: {names:?}")),
            }
        }
    }
    assert_none(&wrong, "a circle of modules");
}

#[test]
fn circles_are_seen() {
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<ModulePath>();
    assert_eq!(paths("a::{b, c::D, e::{F, g}}; x::y"), ["a::b", "a::c::D", "a::e::F", "a::e::g"].map(path));
    assert_eq!(paths("a::b(c)"), [path("a::b")]);
    let graph = [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")];
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in graph {
        uses.entry(from.to_owned()).or_default().insert(to.to_owned());
    }
    assert_eq!(circles(&uses), BTreeSet::from([BTreeSet::from(["b".to_owned(), "c".to_owned()])]));
}
