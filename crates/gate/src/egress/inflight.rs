//! Requests in flight: from a request's head to the end of its answer's body, not only to the answer's head.
//!
//! A connection that answers something lives as long as that takes, however silent it is; only an idle one has a limit.

use crate::egress::limits::MAX_REQUESTS;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The requests in flight on all connections of one gate.
#[derive(Default)]
pub struct AllRequests(AtomicUsize);

/// The requests in flight on one connection.
pub struct ConnectionRequests {
    count: AtomicUsize,
    changed: Notify,
    all: Arc<AllRequests>,
}

impl ConnectionRequests {
    pub fn new(all: Arc<AllRequests>) -> Arc<ConnectionRequests> {
        Arc::new(ConnectionRequests { count: AtomicUsize::new(0), changed: Notify::new(), all })
    }

    /// Counts one request until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.all.0.fetch_add(1, Relaxed);
        self.count.fetch_add(1, Relaxed);
        self.changed.notify_waiters();
        InFlight(self.clone())
    }

    pub fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Returns when no request was in flight for as long as `limit`.
    pub async fn idle(&self, limit: Duration) {
        loop {
            let changed = self.changed.notified();
            if !self.is_empty() {
                changed.await;
            } else if timeout(limit, changed).await.is_err() && self.is_empty() {
                return;
            }
        }
    }
}

/// One request in flight, until this is dropped.
pub struct InFlight(Arc<ConnectionRequests>);

impl InFlight {
    /// Whether the gate has more requests than [`MAX_REQUESTS`], this one included.
    pub fn is_over_limit(&self) -> bool {
        self.0.all.0.load(Relaxed) > MAX_REQUESTS
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.all.0.fetch_sub(1, Relaxed);
        self.0.count.fetch_sub(1, Relaxed);
        self.0.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn only_an_idle_connection_is_ended() {
        let limit = Duration::from_secs(60);
        let requests = ConnectionRequests::new(Arc::default());
        let started = Instant::now();
        requests.idle(limit).await;
        assert_eq!(started.elapsed(), limit);
        // Silent for a day, then done: the minute counts from there.
        let (first, second) = (requests.begin(), requests.begin());
        drop(first);
        let day = Duration::from_secs(24 * 60 * 60);
        let started = Instant::now();
        let ends = async {
            tokio::time::sleep(day).await;
            drop(second);
        };
        tokio::join!(ends, requests.idle(limit));
        assert_eq!(started.elapsed(), day + limit);
    }
}
