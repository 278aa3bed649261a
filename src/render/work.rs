//! Work as text: what is in a bottle and nowhere else.

use crate::text::flattened;
use wire::{Repository, Work};

/// `3 commits and 1 changed file in app, 2 files outside repositories`; it says as well where the comparison is not whole.
pub fn work(work: &Work) -> String {
    let mut parts: Vec<String> = work.repositories.iter().map(repository).collect();
    if work.files > 0 {
        parts.push(format!("{} outside repositories", count(work.files, "file")));
    }
    if work.pushed > 0 {
        parts.push(format!("{} to the local remote", count(work.pushed, "pushed ref")));
    }
    match (parts.is_empty(), work.complete) {
        (true, true) => return "none".to_owned(),
        (true, false) => return "could not check for changes; treated as if there were some".to_owned(),
        (false, true) => {}
        (false, false) => parts.push("perhaps more: not everything could be checked".to_owned()),
    }
    parts.join(", ")
}

fn repository(of: &Repository) -> String {
    let counts = [(of.commits, "commit"), (of.stashes, "stash"), (of.files, "changed file")];
    let words: Vec<String> =
        counts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| count(*number, what)).collect();
    let place = match of.path.as_str() {
        "." => "the workspace".to_owned(),
        path => format!("`{}`", flattened(path)),
    };
    format!("{} in {place}", words.join(" and "))
}

fn count(number: u64, what: &str) -> String {
    match (number, what) {
        (1, _) => format!("1 {what}"),
        (_, "stash") => format!("{number} stashes"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_in_words() {
        let app = Repository { path: "app".into(), commits: 3, stashes: 2, files: 1 };
        let here = Repository { path: ".".into(), stashes: 1, ..Repository::default() };
        let all =
            |complete| Work { complete, repositories: vec![app.clone(), here.clone()], files: 2, ..Work::default() };
        let words = "3 commits and 2 stashes and 1 changed file in `app`, 1 stash in the workspace, \
            2 files outside repositories";
        assert_eq!(work(&all(true)), words);
        let pushed = Work { complete: true, pushed: 1, ..Work::default() };
        assert_eq!(work(&pushed), "1 pushed ref to the local remote");
        assert_eq!(work(&all(false)), format!("{words}, perhaps more: not everything could be checked"));
        assert_eq!(work(&Work { complete: true, ..Work::default() }), "none");
        assert_eq!(work(&Work::default()), "could not check for changes; treated as if there were some");
    }
}
