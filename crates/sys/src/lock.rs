//! A file lock, held by the process that owns a session. The kernel releases it when that process dies.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// An exclusive lock; released on drop.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] Flock<File>);

/// Takes the lock at `path` without waiting. The file is created if missing. `None` if another process holds the lock.
///
/// # Errors
/// The file cannot be opened or locked.
pub fn try_lock(path: &Path) -> io::Result<Option<Lock>> {
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(Lock(lock))),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, errno)) => return Err(errno.into()),
        };
        // [`is_locked`] holds a shared lock for a moment. If a shared lock succeeds here, there is no owner: try again.
        file = match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(shared) => shared.unlock().map_err(|(_, errno)| errno)?,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(errno.into()),
        };
    }
}

/// Whether a living process holds the lock at `path`. False for a missing file.
pub fn is_locked(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// `list` and shell prompts test the lock while another process takes it.
    #[test]
    fn a_test_of_the_lock_is_not_taken_for_an_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        is_locked(&path);
                    }
                });
            }
            let taken = (0..2000).filter(|_| try_lock(&path).unwrap().is_some()).count();
            done.store(true, Ordering::Relaxed);
            assert_eq!(taken, 2000);
        });
        let lock = try_lock(&path).unwrap();
        assert!(is_locked(&path) && try_lock(&path).unwrap().is_none());
        drop(lock);
        assert!(!is_locked(&path));
    }
}
