//! Gives all others their turn while one body or connection is inspected. The gate serves on one thread, and the runtime
//! asks tasks that always have something to do many times before it asks the sockets for news.

use crate::egress::limits::INSPECT_BYTES;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::yield_now;

/// Tasks that hand one request or answer on to each other inside of the gate: it need not wait for a turn at each of them.
const HOPS: usize = 4;

#[derive(Default)]
pub struct Turns {
    /// Bytes that were inspected since others had their turn.
    inspected: usize,
    /// Under way: the turn of the others, connections with news included.
    of_others: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Turns {
    /// So many bytes were inspected.
    pub fn inspected(&mut self, bytes: usize) {
        self.inspected += bytes;
        if self.inspected >= INSPECT_BYTES {
            self.give();
        }
    }

    /// Others are next.
    pub fn give(&mut self) {
        self.inspected = 0;
        self.of_others = Some(Box::pin(async {
            for _ in 0..HOPS {
                yield_now().await;
            }
        }));
    }

    /// Ready when nobody else is next.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(others) = &mut self.of_others {
            ready!(others.as_mut().poll(cx));
            self.of_others = None;
        }
        Poll::Ready(())
    }

    pub async fn wait(&mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }
}
