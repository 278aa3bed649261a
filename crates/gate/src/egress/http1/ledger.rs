//! What is known of an HTTP/1 connection's heads, between who reads them first and who answers them.
//!
//! Requests are counted on both sides: both are asked in the order in which they came.

use crate::egress::http1::head::{Fault, Framing};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What its reader knows of a connection.
#[derive(Default)]
pub struct Wire {
    heads: AtomicU64,
    asked: AtomicU64,
    fault: OnceLock<(u64, Fault)>,
    switches: AtomicBool,
}

impl Wire {
    /// The next request is being answered: what is wrong with it?
    pub fn next(&self) -> Option<Fault> {
        let number = self.asked.fetch_add(1, Relaxed) + 1;
        self.fault.get().filter(|(at, _)| *at == number).map(|(_, fault)| *fault)
    }

    /// The last request asked for a WebSocket. No other can follow it.
    pub fn switches(&self) -> bool {
        self.switches.load(Relaxed)
    }

    /// A good head goes on.
    pub fn passes(&self, framing: Framing) {
        self.switches.store(framing == Framing::Switch, Relaxed);
        self.heads.fetch_add(1, Relaxed);
    }

    /// In place of the next head something harmless goes on.
    pub fn refuse(&self, fault: Fault) {
        let _ = self.fault.set((self.heads.fetch_add(1, Relaxed) + 1, fault));
    }
}

/// In a body's error: its framing was wrong.
#[derive(Debug)]
pub struct Misframed(pub Fault);

impl std::fmt::Display for Misframed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.text())
    }
}

impl std::error::Error for Misframed {}

/// Was this the error of a body whose framing was wrong?
pub fn misframed(error: &(dyn std::error::Error + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(Misframed(fault)) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(*fault);
        }
        next = error.source();
    }
    None
}
