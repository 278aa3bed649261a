//! Nothing that is committed speaks of one machine, one person or one registry.

use super::sources::{assert_none, files, text};
use std::path::Path;

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
pub fn foreign_host(line: &str) -> Option<&str> {
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
pub fn foreign_path(line: &str) -> Option<&str> {
    ["/home/", "/root/", "/Users/"].iter().find_map(|folder| {
        line.match_indices(folder).find_map(|(at, _)| {
            let starts = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "}.~_-$)>\"".contains(c));
            let rest = &line[at + folder.len()..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
            (starts && end > 0 && &rest[..end] != "agent").then(|| &line[at..at + folder.len() + end])
        })
    })
}
