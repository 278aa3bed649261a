//! Requests under way on one connection: until a body's end, not only until an answer's head.
//!
//! A connection that answers something lives as long as that takes, however silent it is; only an idle one has a limit.

use crate::egress::request::body::{Body, Broken};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Requests at once, of all connections. Each may hold some buffers while nobody reads: all together stay below the
/// container's memory.
const MOST: usize = 4096;
static ALL: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
pub struct Streams {
    count: AtomicUsize,
    changed: Notify,
}

impl Streams {
    pub fn open(self: &Arc<Self>) -> Open {
        ALL.fetch_add(1, Relaxed);
        self.count.fetch_add(1, Relaxed);
        self.changed.notify_waiters();
        Open(self.clone())
    }

    pub fn quiet(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Returns when nothing was under way for so long.
    pub async fn idle(&self, limit: Duration) {
        loop {
            let changed = self.changed.notified();
            if !self.quiet() {
                changed.await;
            } else if timeout(limit, changed).await.is_err() && self.quiet() {
                return;
            }
        }
    }
}

/// One request, until this is dropped.
pub struct Open(Arc<Streams>);

impl Open {
    pub fn is_one_too_many(&self) -> bool {
        ALL.load(Relaxed) > MOST
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        ALL.fetch_sub(1, Relaxed);
        self.0.count.fetch_sub(1, Relaxed);
        self.0.changed.notify_waiters();
    }
}

/// A body, and what is held until its end.
pub struct Held<T> {
    pub body: Body,
    pub _until: T,
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn only_who_is_idle_is_ended() {
        let limit = Duration::from_secs(60);
        let streams = Arc::new(Streams::default());
        let started = Instant::now();
        streams.idle(limit).await;
        assert_eq!(started.elapsed(), limit);
        // Silent for a day, then done: the minute counts from there.
        let (one, two) = (streams.open(), streams.open());
        drop(one);
        let day = Duration::from_secs(24 * 60 * 60);
        let started = Instant::now();
        let ends = async {
            tokio::time::sleep(day).await;
            drop(two);
        };
        tokio::join!(ends, streams.idle(limit));
        assert_eq!(started.elapsed(), day + limit);
    }
}
