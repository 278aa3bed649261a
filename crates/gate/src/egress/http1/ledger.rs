//! The ledger of an HTTP/1 connection's heads: what its strict reader says about them to the service that answers them.
//!
//! hyper stands between the two and carries no notes. Both sides count requests, and both see them in the order in which
//! they came, so that a number names the same request on both.

use crate::egress::http1::head::{BodyFraming, Http1Fault};
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// One per HTTP/1 connection, shared by its reader and the service that answers its requests.
#[derive(Default)]
pub struct HeadLedger {
    /// Heads that the reader has handed on.
    read: AtomicU64,
    /// Requests whose answer has begun.
    answered: AtomicU64,
    /// The number of the request that stands for a rejected head, counted from 1, and what was wrong with that head.
    fault: OnceLock<(u64, Http1Fault)>,
    upgrade: AtomicBool,
}

impl HeadLedger {
    /// Notes that a good head goes on to hyper.
    pub fn head_read(&self, framing: BodyFraming) {
        self.upgrade.store(framing == BodyFraming::Upgrade, Relaxed);
        self.read.fetch_add(1, Relaxed);
    }

    /// Notes that a harmless request goes on in place of a head with this fault. At most one per connection counts.
    pub fn head_rejected(&self, fault: Http1Fault) {
        let _ = self.fault.set((self.read.fetch_add(1, Relaxed) + 1, fault));
    }

    /// Notes that the next request is being answered. Returns the fault of its head, if it stands for a rejected one.
    pub fn begin_answer(&self) -> Option<Http1Fault> {
        let number = self.answered.fetch_add(1, Relaxed) + 1;
        self.fault.get().filter(|(rejected, _)| *rejected == number).map(|(_, fault)| *fault)
    }

    /// Whether the last request asks for a WebSocket. No other request can follow it.
    pub fn is_upgrade(&self) -> bool {
        self.upgrade.load(Relaxed)
    }
}

/// The fault of a body's framing, as it travels through hyper: inside the `io::Error` that ends the body.
#[derive(Debug)]
pub struct FramingError(Http1Fault);

impl FramingError {
    /// The error that the reader of the connection returns.
    pub fn wrap(fault: Http1Fault) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, FramingError(fault))
    }

    /// The fault inside an error of hyper's, if a fault of framing caused it.
    pub fn find_in(error: &(dyn std::error::Error + 'static)) -> Option<Http1Fault> {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(FramingError(fault)) = inner.and_then(|inner| inner.downcast_ref()) {
                return Some(*fault);
            }
            next = error.source();
        }
        None
    }
}

impl std::fmt::Display for FramingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.text())
    }
}

impl std::error::Error for FramingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_with_the_request_that_stands_for_its_head() {
        let ledger = HeadLedger::default();
        let fault = Http1Fault::Malformed("a header is folded");
        // The reader may be ahead of the answers by several heads.
        ledger.head_read(BodyFraming::Length(0));
        ledger.head_read(BodyFraming::Chunked);
        ledger.head_rejected(fault);
        assert_eq!([(); 4].map(|()| ledger.begin_answer()), [None, None, Some(fault), None]);
        ledger.head_rejected(Http1Fault::TooLarge);
        assert_eq!(ledger.begin_answer(), None);
    }

    #[test]
    fn a_fault_is_found_below_other_errors() {
        let fault = Http1Fault::Malformed("a trailer is folded");
        let error = FramingError::wrap(fault);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(FramingError::find_in(&error), Some(fault));
        assert_eq!(FramingError::find_in(&io::Error::other("another")), None);
    }
}
