//! The first of a name's addresses that answers (RFC 8305): one that leads nowhere costs a moment, not the whole wait.

use crate::egress::limits::{ADDRESS_STAGGER, CONNECT_TIMEOUT, MAX_ADDRESSES};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use tokio::task::JoinSet;
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

/// Puts addresses in the order in which they are tried: the two families in turn, IPv6 first, each as the resolver had
/// it. At most [`MAX_ADDRESSES`].
pub fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (mut six, mut four): (VecDeque<_>, VecDeque<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let mut order = Vec::new();
    while order.len() < MAX_ADDRESSES && !(six.is_empty() && four.is_empty()) {
        order.extend(six.pop_front());
        order.extend(four.pop_front());
    }
    order.truncate(MAX_ADDRESSES);
    order
}

/// Connects to the first address that answers, and gives up the others. The error is that of the last one that failed.
pub async fn connect_first<S, F>(addresses: &[SocketAddr], connect: fn(SocketAddr) -> F) -> io::Result<S>
where
    S: Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let mut left = addresses.iter();
    let mut trying: JoinSet<Result<io::Result<S>, Elapsed>> = JoinSet::new();
    let mut failure = io::Error::other("no address");
    // No timer for what is to begin now: timers have a grain of a millisecond.
    let mut begin = true;
    loop {
        if std::mem::take(&mut begin)
            && let Some(address) = left.next()
        {
            trying.spawn(timeout(CONNECT_TIMEOUT, connect(*address)));
        }
        tokio::select! {
            biased;
            Some(done) = trying.join_next() => {
                match done {
                    Ok(Ok(Ok(stream))) => return Ok(stream),
                    Ok(Ok(Err(error))) => failure = io::Error::new(error.kind(), error.kind().to_string()),
                    Ok(Err(_)) => failure = io::ErrorKind::TimedOut.into(),
                    Err(_) => {}
                }
                begin = true;
            }
            () = sleep(ADDRESS_STAGGER), if left.len() > 0 => begin = true,
            else => return Err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::Instant;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_families_take_turns() {
        let order = interleave(addresses(&[
            "1.1.1.1:1",
            "1.1.1.2:1",
            "[::1]:1",
            "1.1.1.3:1",
            "[::2]:1",
            "1.1.1.4:1",
            "1.1.1.5:1",
        ]));
        let expected = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "1.1.1.3:1", "1.1.1.4:1"];
        assert_eq!(order, addresses(&expected));
        assert_eq!(interleave(addresses(&["1.1.1.1:1"])), addresses(&["1.1.1.1:1"]));
    }

    /// By port: 1 never answers, 2 refuses at once, 3 answers after 10 ms, 4 at once.
    async fn connect(address: SocketAddr) -> io::Result<u16> {
        match address.port() {
            1 => std::future::pending().await,
            2 => return Err(io::ErrorKind::ConnectionRefused.into()),
            3 => tokio::time::sleep(Duration::from_millis(10)).await,
            _ => {}
        }
        Ok(address.port())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_costs_a_moment() {
        for (texts, first, after) in [
            (&["1.1.1.1:4", "1.1.1.1:3"][..], Some(4), 0),
            (&["1.1.1.1:1", "1.1.1.1:4"], Some(4), 250),
            (&["1.1.1.1:2", "1.1.1.1:2", "1.1.1.1:3"], Some(3), 10),
            (&["1.1.1.1:1", "1.1.1.1:2", "1.1.1.1:1", "1.1.1.1:3"], Some(3), 510),
            (&["1.1.1.1:2"], None, 0),
            (&["1.1.1.1:1", "1.1.1.1:1"], None, 5250),
            (&[], None, 0),
        ] {
            let started = Instant::now();
            let found = super::connect_first(&addresses(texts), connect).await;
            assert_eq!(found.ok(), first, "{texts:?}");
            let took = started.elapsed().as_millis();
            assert!((after..after + 5).contains(&took), "{texts:?}: {took}");
        }
    }
}
