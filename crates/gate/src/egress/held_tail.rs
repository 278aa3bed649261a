//! The tail of a stream that a search holds back, because it may be the beginning of a finding. Where nothing follows for a
//! moment it is let go, if it tells too little to be one: the peer may wait for these very bytes before it sends more. The
//! search goes on as if they were still held, so that the rest of a finding does not leave.

use crate::egress::limits::HELD_PAUSE;
use hyper::body::Bytes;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Sleep, sleep};

pub struct HeldTail {
    /// A longer tail waits for what follows.
    max: usize,
    /// The last bytes that the search was given, at most `max`.
    last: Vec<u8>,
    /// How many bytes the search holds back.
    held: usize,
    /// How many of those were let go: the first ones.
    released: usize,
    /// The tail as it is tells too much.
    is_telling: bool,
    pause: Option<Pin<Box<Sleep>>>,
}

impl HeldTail {
    /// `max`: bytes that may be let go before their end is known.
    pub fn new(max: usize) -> HeldTail {
        HeldTail { max, last: Vec::new(), held: 0, released: 0, is_telling: false, pause: None }
    }

    /// The search was given `pushed`, and gave `passed` of all that it had: what of that was not let go before.
    pub fn pass(&mut self, pushed: &[u8], mut passed: Bytes) -> Bytes {
        self.pause = None;
        self.is_telling = false;
        self.held = (self.held + pushed.len()).saturating_sub(passed.len());
        self.last.extend_from_slice(&pushed[pushed.len().saturating_sub(self.max)..]);
        let surplus = self.last.len().saturating_sub(self.max);
        self.last.drain(..surplus);
        let again = self.released.min(passed.len());
        self.released -= again;
        passed.split_off(again)
    }

    /// Nothing follows at present: ready with the tail, once that has lasted. `is_harmless` is asked then.
    pub fn poll_release(&mut self, cx: &mut Context<'_>, is_harmless: impl FnOnce(&[u8]) -> bool) -> Poll<Bytes> {
        if self.is_telling || self.held > self.max || self.held <= self.released {
            return Poll::Pending;
        }
        ready!(self.pause.get_or_insert_with(|| Box::pin(sleep(HELD_PAUSE))).as_mut().poll(cx));
        self.pause = None;
        let tail = &self.last[self.last.len().saturating_sub(self.held)..];
        if !is_harmless(tail) {
            self.is_telling = true;
            return Poll::Pending;
        }
        let tail = Bytes::copy_from_slice(&tail[self.released..]);
        self.released = self.held;
        Poll::Ready(tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::time::{Instant, timeout};

    /// Holds back all digits at the end.
    fn search(held: &mut Vec<u8>, pushed: &[u8]) -> Bytes {
        held.extend_from_slice(pushed);
        let kept = held.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let passed = held.drain(..held.len() - kept).collect::<Vec<u8>>();
        passed.into()
    }

    async fn release(tail: &mut HeldTail) -> Option<Bytes> {
        timeout(Duration::from_secs(5), poll_fn(|cx| tail.poll_release(cx, |tail| tail != b"666"))).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn each_byte_passes_once_in_order() {
        let (mut tail, mut held, mut out) = (HeldTail::new(4), Vec::new(), Vec::new());
        for (part, let_go) in [
            ("ab1", Some("1")),
            ("2", Some("2")),
            ("34", Some("34")),
            ("5", None),
            ("x7", Some("7")),
            ("yz", None),
            ("666", None),
            ("1", Some("6661")),
            ("!", None),
            ("123456", None),
            ("x", None),
        ] {
            let passed = search(&mut held, part.as_bytes());
            out.extend_from_slice(&tail.pass(part.as_bytes(), passed));
            let released = release(&mut tail).await;
            assert_eq!(released.as_deref(), let_go.map(str::as_bytes), "{part}");
            out.extend_from_slice(&released.unwrap_or_default());
        }
        assert_eq!(String::from_utf8(out).unwrap(), "ab12345x7yz6661!123456x");
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_at_once_lets_nothing_go() {
        let (mut tail, mut held) = (HeldTail::new(4), Vec::new());
        let started = Instant::now();
        for part in ["1", "2", "3"] {
            let passed = search(&mut held, part.as_bytes());
            assert_eq!(tail.pass(part.as_bytes(), passed), "");
            let soon = poll_fn(|cx| Poll::Ready(tail.poll_release(cx, |_| true).is_pending())).await;
            assert!(soon);
        }
        assert_eq!(release(&mut tail).await.as_deref(), Some(&b"123"[..]));
        assert_eq!(started.elapsed().as_millis(), HELD_PAUSE.as_millis());
    }
}
