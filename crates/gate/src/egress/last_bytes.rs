//! The last bytes of a body of known length wait for the verdict on its end: hyper asks for nothing behind them, so that what
//! the end makes a finding would never be found.

use hyper::body::{Body as _, Bytes, Incoming};

/// How far a body was read, after one of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyProgress {
    /// More bytes may follow.
    Open,
    /// All bytes of the known length were read, but not the end: HTTP/2 may send it, or trailers, in a frame of its own.
    LengthReached,
    /// Nothing follows.
    Ended,
}

impl BodyProgress {
    pub fn of(incoming: &Incoming) -> BodyProgress {
        match incoming.size_hint().exact() {
            _ if incoming.is_end_stream() => BodyProgress::Ended,
            Some(0) => BodyProgress::LengthReached,
            Some(_) | None => BodyProgress::Open,
        }
    }
}

/// The last bytes of a body of known length, while its end is still to be read: what is found there stops them.
#[derive(Default)]
pub struct LastBytes(Bytes);

impl LastBytes {
    /// Which bytes may pass after a frame: these behind those that waited, or none before the verdict on the end.
    pub fn pass(&mut self, bytes: Bytes, progress: BodyProgress) -> Bytes {
        let bytes = self.followed_by(bytes);
        match progress {
            BodyProgress::Open => bytes,
            BodyProgress::LengthReached | BodyProgress::Ended => {
                self.0 = bytes;
                Bytes::new()
            }
        }
    }

    /// Those that waited, and then these.
    pub fn followed_by(&mut self, bytes: Bytes) -> Bytes {
        join(std::mem::take(&mut self.0), bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Both, one after the other; copies only where neither is empty.
fn join(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first,
        (false, false) => [first, second].concat().into(),
    }
}
