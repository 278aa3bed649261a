//! A file lock: held by the process that owns a session, freed by the kernel when it dies.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code)] Flock<File>);

/// Takes the lock at `path` (made if missing), or `None` where another process holds it.
pub fn take(path: &Path) -> io::Result<Option<Lock>> {
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(Lock(lock))),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, errno)) => return Err(errno.into()),
        };
        // Whoever looks has it shared, for a moment: that is no owner, and it is tried again.
        file = match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(looked) => looked.unlock().map_err(|(_, errno)| errno)?,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => return Err(errno.into()),
        };
    }
}

/// Is the lock at `path` held by a living process? A missing file is not.
pub fn held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(Flock::lock(file, FlockArg::LockSharedNonblock), Err((_, Errno::EWOULDBLOCK)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Lists and prompts look while others take.
    #[test]
    fn who_looks_is_not_taken_for_an_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        held(&path);
                    }
                });
            }
            let taken = (0..2000).filter(|_| take(&path).unwrap().is_some()).count();
            done.store(true, Ordering::Relaxed);
            assert_eq!(taken, 2000);
        });
        let lock = take(&path).unwrap();
        assert!(held(&path) && take(&path).unwrap().is_none());
        drop(lock);
        assert!(!held(&path));
    }
}
