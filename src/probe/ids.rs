//! The user and group ids that the host knows: accounts, groups, and the ranges that users may map.

use nix::unistd::{Gid, Group, Uid, User};
use std::fs;
use std::ops::RangeInclusive;

/// The ids of this host. A remote engine's host is another one.
pub struct HostIds {
    /// What users and groups may map into user namespaces of theirs.
    subordinate: Vec<RangeInclusive<u32>>,
}

impl HostIds {
    /// Reads the files of subordinate ids; a file that cannot be read has none.
    pub fn read() -> HostIds {
        let texts = ["/etc/subuid", "/etc/subgid"].map(|path| fs::read(path).unwrap_or_default());
        let texts = texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        HostIds { subordinate: texts.iter().flat_map(|text| text.lines()).filter_map(subordinate_ids).collect() }
    }

    /// Does an account, a group or a subordinate range have this id? The system's name service is asked, and so are the
    /// directories behind it; one that does not answer has no accounts.
    pub fn contain(&self, id: u32) -> bool {
        self.subordinate.iter().any(|range| range.contains(&id))
            || matches!(User::from_uid(Uid::from_raw(id)), Ok(Some(_)))
            || matches!(Group::from_gid(Gid::from_raw(id)), Ok(Some(_)))
    }
}

/// The range of a line `name:first:count`.
fn subordinate_ids(line: &str) -> Option<RangeInclusive<u32>> {
    let mut fields = line.split(':').skip(1);
    let first: u32 = fields.next()?.parse().ok()?;
    let count: u32 = fields.next()?.trim().parse().ok()?;
    Some(first..=first.checked_add(count)?.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ranges() {
        assert_eq!(subordinate_ids("ann:30000:5000"), Some(30000..=34999));
        for wrong in ["", "ann:30000", "ann:a:b", "ann:4294967295:2", "ann:0:0"] {
            assert!(subordinate_ids(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn accounts_groups_and_ranges_of_the_host_are_known() {
        let host = HostIds { subordinate: vec![30_000..=34_999] };
        assert!(host.contain(0) && host.contain(30_000) && host.contain(34_999));
        // Debian's group of the terminals has no account of its number.
        let tty = Group::from_name("tty").unwrap().unwrap().gid;
        assert!(host.contain(tty.as_raw()));
        assert!(!host.contain(29_999) && !host.contain(35_000));
    }
}
