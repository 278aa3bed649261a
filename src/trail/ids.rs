//! Which change each id has stood for: never more than as many as the trail has lines.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use wire::Change;

#[derive(Debug, Default)]
pub(super) struct Ids {
    /// A digest, by a key of this process, of the change of each id.
    digests: HashMap<String, u64>,
    key: RandomState,
    /// Ids that stood for two changes.
    pub twice: HashSet<String>,
}

impl Ids {
    /// A person can have seen this change by its id.
    pub fn note(&mut self, change: &Change) {
        let (id, digest) = (change.id(), self.key.hash_one(change));
        match self.digests.get(&id) {
            Some(known) if *known != digest => drop(self.twice.insert(id)),
            Some(_) => {}
            None => drop(self.digests.insert(id, digest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_two_changes_is_never_trusted_again() {
        let change = |path: u32| Change::Egress {
            host: "a.org".into(),
            port: 443,
            method: "GET".into(),
            path: format!("/{path}"),
        };
        // The first two of these paths that share an id.
        let mut seen = HashMap::new();
        let (first, second) =
            (0..).find_map(|path| seen.insert(change(path).id(), path).map(|old| (old, path))).unwrap();
        let mut ids = Ids::default();
        for path in [first, first, second] {
            assert!(ids.twice.is_empty());
            ids.note(&change(path));
        }
        assert!(ids.twice.contains(&change(first).id()));
    }
}
