//! Threads: one that cannot be made is an error, where `std::thread::spawn` would panic.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Runs `task` on a thread of its own.
///
/// # Errors
/// The machine has no memory or no room for another thread. `task` was dropped, with the pipes that it held.
pub fn spawn<T: Send + 'static>(task: impl FnOnce() -> T + Send + 'static) -> io::Result<JoinHandle<T>> {
    let no_thread = |error: io::Error| io::Error::new(error.kind(), format!("no thread can be started: {error}"));
    Builder::new().spawn(task).map_err(no_thread)
}
