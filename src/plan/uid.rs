//! The agent's user id: one for each home, which no user of the host has. The kernel counts inotify instances, keys and
//! pending signals by user id, so that an agent with a person's id could use up what the person has.

use crate::facts::digest;
use std::ops::RangeInclusive;

/// The agent's id in images before the last layer renumbers it, and in homes of plans that name no id.
const IMAGE_UID: u32 = 1000;

/// Above what distributions give to people, services and containers, and below what systemd allocates. An engine with a
/// user namespace maps 65,536 ids, and these are among them.
const UIDS: RangeInclusive<u32> = 20_000..=59_999;

/// The agent's user id, and group id, in bottles of this home. `is_taken`: does a user or a group of the host have it?
pub fn agent_uid(home_id: &str, is_taken: impl Fn(u32) -> bool) -> u32 {
    let count = UIDS.end() - UIDS.start() + 1;
    let first = (digest(home_id.as_bytes()) % u64::from(count)) as u32;
    let mut candidates = (0..count).map(|step| UIDS.start() + (first + step) % count);
    candidates.find(|uid| !is_taken(*uid)).unwrap_or(UIDS.start() + first)
}

pub(super) fn image_uid() -> u32 {
    IMAGE_UID
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_keeps_its_uid_and_homes_differ() {
        let uids: Vec<u32> = (0..100).map(|home| agent_uid(&format!("{home:016}"), |_| false)).collect();
        assert!(uids.iter().all(|uid| UIDS.contains(uid)));
        assert_eq!(uids[7], agent_uid(&format!("{:016}", 7), |_| false));
        let distinct: std::collections::BTreeSet<u32> = uids.iter().copied().collect();
        assert!(distinct.len() > 95, "{distinct:?}");
    }

    #[test]
    fn an_id_of_the_host_is_never_taken() {
        let first = agent_uid("home", |_| false);
        let next = agent_uid("home", |uid| uid == first);
        assert!(next != first && UIDS.contains(&next));
        // One id is left, on the other side of the range's end.
        let left = if first == *UIDS.start() { *UIDS.end() } else { first - 1 };
        assert_eq!(agent_uid("home", |uid| uid != left), left);
        // Where the host uses all of them, one is as good as another.
        assert_eq!(agent_uid("home", |_| true), first);
    }
}
