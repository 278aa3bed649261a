//! Unpacks the compressed files of bodies on a thread beside the one that serves, a part of one body at a time: a few bytes
//! can unpack to a second's work.

use crate::egress::limits::MAX_UNPACKED_HELD_BYTES;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// What all bodies share.
pub struct Unpacker {
    /// One permit: a second thread would take the processor of the one that serves.
    turn: Arc<Semaphore>,
    /// Memory that the open files of all bodies hold.
    held: AtomicUsize,
}

/// What one body's open files hold, until it is dropped.
pub struct HeldMemory {
    unpacker: Arc<Unpacker>,
    bytes: usize,
}

/// Work under way; it gives back what was lent to it, and `None` where that is lost.
pub struct Unpacking<T>(Pin<Box<dyn Future<Output = Option<T>> + Send>>);

impl Default for Unpacker {
    fn default() -> Unpacker {
        Unpacker { turn: Arc::new(Semaphore::new(1)), held: AtomicUsize::new(0) }
    }
}

impl Unpacker {
    /// Bodies have their turn in the order in which they ask.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Unpacking<T> {
        let turn = self.turn.clone();
        Unpacking(Box::pin(async move {
            let turn = turn.acquire_owned().await.ok()?;
            let done = spawn_blocking(move || {
                let _turn = turn;
                work()
            });
            done.await.ok()
        }))
    }
}

impl HeldMemory {
    pub fn new(unpacker: Arc<Unpacker>) -> HeldMemory {
        HeldMemory { unpacker, bytes: 0 }
    }

    /// The body's files hold so many bytes now. False: all bodies together hold too many.
    pub fn set(&mut self, bytes: usize) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        let all = &self.unpacker.held;
        all.fetch_add(bytes, Relaxed);
        all.fetch_sub(before, Relaxed);
        bytes <= before || all.load(Relaxed) <= MAX_UNPACKED_HELD_BYTES
    }

    pub fn unpacker(&self) -> &Arc<Unpacker> {
        &self.unpacker
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.unpacker.held.fetch_sub(self.bytes, Relaxed);
    }
}

impl<T> Unpacking<T> {
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.as_mut().poll(cx)
    }
}
