//! The sessions of the gate's children, by which its sockets tell them from the agent and from the operator.

use nix::unistd::{Pid, getsid};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::net::UnixStream;

/// The sessions of all confined children. Every process that comes of a child is in its session, because a filter takes
/// away the calls that leave one.
#[derive(Default)]
pub struct Sessions(Mutex<HashSet<i32>>);

impl Sessions {
    /// Whether a confined child made this connection. A process of another container, or one that the engine started in
    /// this one, is in none of the sessions.
    pub fn holds_peer(&self, stream: &UnixStream) -> bool {
        let Ok(peer) = stream.peer_cred() else { return true };
        match peer.pid() {
            // The peer is in another pid namespace.
            None | Some(0) => false,
            // A peer that is gone may have left its connection to another process.
            Some(pid) => {
                getsid(Some(Pid::from_raw(pid))).map_or(true, |session| self.all().contains(&session.as_raw()))
            }
        }
    }

    pub fn insert(&self, session: i32) {
        self.all().insert(session);
    }

    pub fn remove(&self, session: i32) {
        self.all().remove(&session);
    }

    fn all(&self) -> MutexGuard<'_, HashSet<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
