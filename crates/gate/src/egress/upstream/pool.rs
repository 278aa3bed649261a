//! The way on from one connection of the agent's. Its connections to the upstream belong to it alone: one that all
//! requests share, where the upstream speaks HTTP/2, else a few that they take in turn.
//!
//! What the agent speaks is offered first: HTTP/1 is quicker for one request at a time. Only an upstream that does not
//! speak it gets HTTP/2 for it.

use crate::egress::AllowedRequest;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::request::body::Upload;
use crate::egress::request::serve::Conversation;
use crate::egress::upstream::connection::{Link, MORE, Offer, Turn, broke, lost};
use crate::egress::upstream::dial::{Target, Trouble};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2;
use hyper::header::UPGRADE;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, Version};
use policy::{Denial, Route};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// HTTP/1 connections to the upstream at once, for one connection of the agent's.
const MOST: usize = 16;
/// Times that a request is given to a connection; the last one is new.
const TRIES: usize = 3;

/// One of the few, until the end of the answer's body.
pub type Lease = OwnedSemaphorePermit;

pub struct Upstream {
    line: Mutex<Line>,
    room: Arc<Semaphore>,
}

/// The way on, as far as it is known.
#[derive(Default)]
struct Line {
    /// Of the policy by which it was found.
    generation: u64,
    target: Option<Target>,
    version: Option<Version>,
    shared: Option<http2::SendRequest<Box<Upload>>>,
    idle: Vec<Turn>,
    /// The last attempt to connect, for those who waited for it.
    trouble: Option<(Instant, Trouble)>,
}

/// An answer, and the connection's place until its end.
pub type Sent = Result<(Response<Incoming>, Option<Lease>), Trouble>;

/// A connection for one request.
struct Way {
    link: Link,
    lease: Option<Lease>,
    /// It has served no request.
    fresh: bool,
}

impl Default for Upstream {
    fn default() -> Upstream {
        Upstream { line: Mutex::default(), room: Arc::new(Semaphore::new(MOST)) }
    }
}

impl Conversation {
    /// Where does the connection lead? Asked once, before anything else is.
    pub async fn locate(&self, snapshot: &PolicySnapshot, route: &Route) -> Result<(), Trouble> {
        let mut line = self.line(snapshot).await;
        if line.target.is_none() {
            // Once, and in a box of its own: every request would hold the room for it.
            line.target = Some(Box::pin(self.egress.dialler.locate(snapshot, route, &self.host)).await?);
        }
        Ok(())
    }

    /// As far as it is known by this snapshot: another policy may lead elsewhere.
    async fn line(&self, snapshot: &PolicySnapshot) -> MutexGuard<'_, Line> {
        let mut line = self.upstream.line.lock().await;
        if line.generation != snapshot.generation {
            *line = Line { generation: snapshot.generation, ..Line::default() };
        }
        line
    }

    /// On a connection of a request before, if it still lives; a request that never left is sent on another one.
    pub async fn send(&self, head: Parts, upload: Box<Upload>, pass: &AllowedRequest) -> Sent {
        let want = Want::of(&head);
        let again = upload.is_end_stream() && matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let spare = again.then(|| head.clone());
        let verdict = upload.verdict();
        let mut request = Request::from_parts(head, upload);
        for tried in 1..=TRIES {
            let Way { link, lease, fresh } = self.way(pass, want).await?;
            self.dress(&mut request, &link, pass)?;
            let sent = match link {
                Link::One(mut turn) => {
                    let sent = turn.sender.try_send_request(request).await;
                    if sent.is_ok() && want != Want::Switch {
                        self.keep(pass, turn).await;
                    }
                    sent
                }
                Link::Two(mut sender) => sender.try_send_request(request).await,
            };
            let mut error = match sent {
                Ok(response) => return Ok((response, lease)),
                Err(error) => error,
            };
            let last = fresh || tried == TRIES;
            request = match (error.take_message(), &spare) {
                (Some(unsent), _) if !last => unsent,
                // The upstream closed an idle connection at the same moment: nothing was lost.
                (None, Some(head)) if !last && lost(error.error()) => {
                    Request::from_parts(head.clone(), Upload::nothing())
                }
                _ => {
                    return Err(match verdict.get() {
                        Some(denial) => {
                            Trouble::Denied(Denial { route: denial.route.or(Some(pass.route)), ..denial.clone() })
                        }
                        None => broke(error.error()),
                    });
                }
            };
            // Where it is not closed yet, it goes away.
            self.line(&pass.snapshot).await.shared = None;
        }
        Err(Trouble::Failed("upstream", "the upstream broke off".to_owned()))
    }

    /// Connecting is in a box of its own: it is rare, and a waiting connection would hold the room for it.
    async fn way(&self, pass: &AllowedRequest, want: Want) -> Result<Way, Trouble> {
        let asked = Instant::now();
        let mut line = self.line(&pass.snapshot).await;
        if want == Want::Switch {
            let target = line.target.clone();
            drop(line);
            return Ok(Way { link: Box::pin(self.connect(pass, Offer::One, target)).await?, lease: None, fresh: true });
        }
        if let Some(shared) = line.shared.as_ref().filter(|shared| !shared.is_closed()) {
            return Ok(Way { link: Link::Two(shared.clone()), lease: None, fresh: false });
        }
        if line.version == Some(Version::HTTP_11) {
            drop(line);
            return self.turn(pass, want).await;
        }
        if let Some((at, trouble)) = &line.trouble
            && *at > asked
        {
            return Err(trouble.clone());
        }
        // All who come meanwhile wait: most upstreams give one connection for all.
        let offer = if line.version == Some(Version::HTTP_2) && want == Want::One { Offer::Two } else { want.offer() };
        let link = match Box::pin(self.connect(pass, offer, line.target.clone())).await {
            Ok(link) => link,
            Err(trouble) => {
                // The name may lead elsewhere by now.
                line.target = None;
                line.trouble = Some((Instant::now(), trouble.clone()));
                return Err(trouble);
            }
        };
        let lease = match &link {
            Link::One(_) => {
                line.version = Some(Version::HTTP_11);
                self.upstream.room.clone().try_acquire_owned().ok()
            }
            Link::Two(sender) => {
                line.version = Some(Version::HTTP_2);
                line.shared = Some(sender.clone());
                None
            }
        };
        Ok(Way { link, lease, fresh: true })
    }

    /// One of the few connections that requests take in turn.
    async fn turn(&self, pass: &AllowedRequest, want: Want) -> Result<Way, Trouble> {
        let lease = self.upstream.room.clone().acquire_owned().await.ok();
        let mut line = self.line(&pass.snapshot).await;
        let busy = MOST - 1 - self.upstream.room.available_permits();
        if let Some(turn) = ready(&mut line.idle, busy).await {
            return Ok(Way { link: Link::One(turn), lease, fresh: false });
        }
        let first = busy == 0 && line.idle.is_empty();
        let target = line.target.clone();
        drop(line);
        let more = if first { Ok(None) } else { MORE.try_acquire().map(Some) };
        let connected = match more {
            Ok(more) => Box::pin(self.connect(pass, want.offer(), target)).await.map(|link| link.holding(more)),
            Err(_) => Err(Trouble::Failed("upstream", "too many connections to upstreams at once".to_owned())),
        };
        let mut line = self.line(&pass.snapshot).await;
        let link = connected.inspect_err(|_| line.target = None)?;
        if let Link::Two(sender) = &link {
            line.version = Some(Version::HTTP_2);
            line.shared = Some(sender.clone());
        }
        Ok(Way { link, lease, fresh: true })
    }

    async fn keep(&self, pass: &AllowedRequest, turn: Turn) {
        let mut line = self.line(&pass.snapshot).await;
        if line.idle.len() < MOST {
            line.idle.push(turn);
        }
    }
}

/// What the agent's request asks of the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    One,
    Any,
    /// A WebSocket: a connection for it alone, of the version that can switch.
    Switch,
}

impl Want {
    fn of(head: &Parts) -> Want {
        match head.version {
            _ if head.headers.contains_key(UPGRADE) => Want::Switch,
            Version::HTTP_2 => Want::Any,
            _ => Want::One,
        }
    }

    fn offer(self) -> Offer {
        if self == Want::Any { Offer::Both } else { Offer::One }
    }
}

/// One that is done with the request before. Where there are more than are busy, one is about to be.
async fn ready(idle: &mut Vec<Turn>, busy: usize) -> Option<Turn> {
    idle.retain(|turn| !turn.sender.is_closed());
    if let Some(index) = idle.iter().rposition(|turn| turn.sender.is_ready()) {
        return Some(idle.swap_remove(index));
    }
    if idle.len() <= busy {
        return None;
    }
    let any = poll_fn(|cx| {
        idle.retain(|turn| !turn.sender.is_closed());
        let found = idle.iter_mut().position(|turn| matches!(turn.sender.poll_ready(cx), Poll::Ready(Ok(()))));
        match found {
            Some(index) => Poll::Ready(Some(idle.swap_remove(index))),
            None if idle.is_empty() => Poll::Ready(None),
            None => Poll::Pending,
        }
    });
    timeout(Duration::from_millis(100), any).await.ok().flatten()
}
