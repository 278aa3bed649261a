//! The person who decides, as far as this process can tell: for the record.

use crate::probe;
use crate::state::Operator;
use nix::unistd::{Uid, User};

/// The user of this process, the terminal, and the ssh connection.
pub fn operator() -> Operator {
    let uid = Uid::current();
    let terminal = (0..3).find_map(|number| {
        let path = std::fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
        let path = path.to_str()?;
        (path.starts_with("/dev/pts/") || path.starts_with("/dev/tty")).then(|| path.to_owned())
    });
    Operator {
        uid: uid.as_raw(),
        name: User::from_uid(uid).ok().flatten().map(|user| user.name),
        terminal,
        ssh: probe::variable("SSH_CONNECTION"),
    }
}
