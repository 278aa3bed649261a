//! The connections to the upstream of one connection of the agent. They belong to it alone: one that all requests share,
//! where the upstream speaks HTTP/2, else a few that requests take in turn.
//!
//! HTTP/1 is quicker for one request at a time, but a server that does not read a body takes it for the next request: a
//! connection that carried one serves no other. Where bodies may come HTTP/2 is preferred, which has no such ambiguity;
//! elsewhere the version that the agent speaks.

use crate::egress::as_judged::has_body;
use crate::egress::limits::{MAX_INTERIM_ANSWERS, MAX_POOLED, MAX_SEND_ATTEMPTS, POOL_WAIT};
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::peer::Peer;
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::connection::{Connection, Connector, Http1Connection, Offer, broke_off, is_lost};
use crate::egress::upstream::dial::Target;
use crate::egress::upstream::rewrite::rewrite_for;
use crate::egress::upstream::upload::{Upload, UploadDenial};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2;
use hyper::header::UPGRADE;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, Version};
use policy::Destination;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Instant;
use tokio::sync::{Mutex, MutexGuard, Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What an answer occupies until the end of its body.
#[derive(Default)]
pub struct PoolPermit {
    /// One of the [`MAX_POOLED`] places of HTTP/1 connections.
    _place: Option<OwnedSemaphorePermit>,
    /// A connection that is not used again.
    last_use: Option<Box<Http1Connection>>,
}

impl PoolPermit {
    /// Notes that the answer was read to its end: whatever follows it was not asked for.
    pub fn answer_ended(&mut self) {
        if let Some(ended) = self.last_use.as_mut().and_then(|connection| connection.last_answer_ended.take()) {
            // The connection may be gone.
            let _ = ended.send(());
        }
    }
}

/// Sends the requests of one connection of the agent to its upstream.
pub struct Upstream {
    connector: Arc<Connector>,
    state: Mutex<PoolState>,
    permits: Arc<Semaphore>,
}

/// What is known of the upstream, and the connections to it that can be used again.
#[derive(Default)]
struct PoolState {
    /// The policy generation by which the target was found.
    generation: u64,
    target: Option<Target>,
    /// What the upstream was found to speak.
    version: Option<Version>,
    shared: Option<http2::SendRequest<Box<Upload>>>,
    idle: Vec<Http1Connection>,
    /// When the last attempt to connect failed, and why: requests that waited for it fail, too.
    failed: Option<(Instant, ServeError)>,
}

/// An answer whose body is still to be read.
pub struct UpstreamAnswer {
    pub response: Response<Incoming>,
    /// To be dropped at the end of the body.
    pub permit: PoolPermit,
    /// Set once the request's body is denied, which may come after the answer has begun.
    pub denial: UploadDenial,
}

pub type SendResult = Result<UpstreamAnswer, ServeError>;

/// A connection, taken for one request.
struct Checkout {
    connection: Connection,
    /// One of the pool's few places. `None`: the connection needs none.
    place: Option<OwnedSemaphorePermit>,
    /// Whether it has served no request yet.
    is_new: bool,
}

impl Upstream {
    pub fn new(connector: Arc<Connector>) -> Upstream {
        Upstream { connector, state: Mutex::default(), permits: Arc::new(Semaphore::new(MAX_POOLED)) }
    }

    /// Finds out where `destination` leads, once per policy generation and before anything is sent.
    pub async fn locate(&self, snapshot: &PolicySnapshot, destination: &Destination<'_>) -> Result<(), ServeError> {
        let mut state = self.state(snapshot).await;
        if state.target.is_none() {
            // Boxed, because it is rare: unboxed, every request's future would have room for it.
            state.target = Some(Box::pin(self.connector.dialler.locate(destination, snapshot.proxy.as_ref())).await?);
        }
        Ok(())
    }

    /// The state as far as this snapshot's policy has it: another policy may lead elsewhere, and begins anew.
    async fn state(&self, snapshot: &PolicySnapshot) -> MutexGuard<'_, PoolState> {
        let mut state = self.state.lock().await;
        if state.generation != snapshot.generation {
            *state = PoolState { generation: snapshot.generation, ..PoolState::default() };
        }
        state
    }

    /// Sends a request, on a connection of an earlier one if one still lives. A request that never left is sent again on
    /// another connection, [`MAX_SEND_ATTEMPTS`] times at most.
    pub async fn send(&self, to: &Peer, head: Parts, upload: Box<Upload>, allowed: &AllowedRequest) -> SendResult {
        let protocol = Protocol::of(&head, allowed.snapshot.takes_bodies(allowed.route));
        let has_body = has_body(&*upload);
        let repeatable = upload.is_end_stream() && matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let spare = repeatable.then(|| head.clone());
        let denial = upload.denial();
        let mut request = Request::from_parts(head, upload);
        for attempt in 1..=MAX_SEND_ATTEMPTS {
            let Checkout { connection, place, is_new } = self.checkout(to, allowed, protocol).await?;
            let mut permit = PoolPermit { _place: place, last_use: None };
            rewrite_for(&connection, to, allowed, &mut request)?;
            let sent = match connection {
                Connection::Http1(mut connection) => {
                    let too_many = count_interim_answers(&mut request);
                    let sent = tokio::select! {
                        biased;
                        sent = connection.sender.try_send_request(request) => sent,
                        // Dropped with its request, the connection ends.
                        () = too_many.notified() => return Err(ServeError::Failed("upstream", TOO_MANY_INTERIM.to_owned())),
                    };
                    if has_body {
                        permit.last_use = Some(Box::new(connection));
                    } else if sent.is_ok() && protocol != Protocol::Upgrade {
                        self.put_back(connection, allowed).await;
                    }
                    sent
                }
                Connection::Http2(mut sender) => sender.try_send_request(request).await,
            };
            let mut error = match sent {
                Ok(response) => return Ok(UpstreamAnswer { response, permit, denial }),
                Err(error) => error,
            };
            let is_last = is_new || attempt == MAX_SEND_ATTEMPTS;
            request = match (error.take_message(), &spare) {
                (Some(unsent), _) if !is_last => unsent,
                // The upstream closed an idle connection at the same moment: nothing was lost.
                (None, Some(head)) if !is_last && is_lost(error.error()) => {
                    Request::from_parts(head.clone(), Upload::empty())
                }
                _ => {
                    return Err(match denial.get() {
                        Some(denial) => ServeError::Denied(denial.clone().or_route(allowed.route)),
                        None => broke_off(error.error()),
                    });
                }
            };
            // An HTTP/2 connection that failed once is not used again, even if it is not closed yet.
            self.state(&allowed.snapshot).await.shared = None;
        }
        Err(ServeError::Failed("upstream", "the upstream broke off".to_owned()))
    }

    /// Takes a connection for one request. Connecting is boxed, because it is rare: unboxed, every request's future would
    /// have room for it.
    async fn checkout(&self, to: &Peer, allowed: &AllowedRequest, protocol: Protocol) -> Result<Checkout, ServeError> {
        let asked = Instant::now();
        let mut state = self.state(&allowed.snapshot).await;
        if protocol == Protocol::Upgrade {
            let target = state.target.clone();
            drop(state);
            let connection = Box::pin(self.connector.connect(to, allowed, Offer::Upgrade, target)).await?;
            return Ok(Checkout { connection, place: None, is_new: true });
        }
        if let Some(shared) = state.shared.as_ref().filter(|shared| !shared.is_closed()) {
            return Ok(Checkout { connection: Connection::Http2(shared.clone()), place: None, is_new: false });
        }
        if state.version == Some(Version::HTTP_11) {
            drop(state);
            return self.checkout_http1(to, allowed, protocol).await;
        }
        if let Some((at, error)) = &state.failed
            && *at > asked
        {
            return Err(error.clone());
        }
        // The lock is held while connecting: most upstreams give one connection for all requests that wait for it.
        let known_http2 = state.version == Some(Version::HTTP_2) && protocol == Protocol::Http1;
        let offer = if known_http2 { Offer::Http2 } else { protocol.offer() };
        let connection = match Box::pin(self.connector.connect(to, allowed, offer, state.target.clone())).await {
            Ok(connection) => connection,
            Err(error) => {
                // The name may lead elsewhere by now.
                state.target = None;
                state.failed = Some((Instant::now(), error.clone()));
                return Err(error);
            }
        };
        let place = match &connection {
            Connection::Http1(_) => {
                state.version = Some(Version::HTTP_11);
                self.permits.clone().try_acquire_owned().ok()
            }
            Connection::Http2(sender) => {
                state.version = Some(Version::HTTP_2);
                state.shared = Some(sender.clone());
                None
            }
        };
        Ok(Checkout { connection, place, is_new: true })
    }

    /// Takes one of the HTTP/1 connections: an idle one, or a new one.
    async fn checkout_http1(
        &self,
        to: &Peer,
        allowed: &AllowedRequest,
        protocol: Protocol,
    ) -> Result<Checkout, ServeError> {
        let place = self.permits.clone().acquire_owned().await.ok();
        let mut state = self.state(&allowed.snapshot).await;
        let busy = MAX_POOLED - 1 - self.permits.available_permits();
        if let Some(connection) = take_idle(&mut state.idle, busy).await {
            return Ok(Checkout { connection: Connection::Http1(connection), place, is_new: false });
        }
        let is_first = busy == 0 && state.idle.is_empty();
        let target = state.target.clone();
        drop(state);
        let extra = if is_first { Ok(None) } else { self.connector.extra.clone().try_acquire_owned().map(Some) };
        let connected = match extra {
            Ok(extra) => Box::pin(self.connector.connect(to, allowed, protocol.offer(), target))
                .await
                .map(|connection| connection.holding(extra)),
            Err(_) => Err(ServeError::Failed("upstream", "too many connections to upstreams at once".to_owned())),
        };
        let mut state = self.state(&allowed.snapshot).await;
        let connection = connected.inspect_err(|_| state.target = None)?;
        if let Connection::Http2(sender) = &connection {
            state.version = Some(Version::HTTP_2);
            state.shared = Some(sender.clone());
        }
        Ok(Checkout { connection, place, is_new: true })
    }

    /// Keeps a connection for the next request. It is ready for that once the answer's body has ended.
    async fn put_back(&self, connection: Http1Connection, allowed: &AllowedRequest) {
        let mut state = self.state(&allowed.snapshot).await;
        if state.idle.len() < MAX_POOLED {
            state.idle.push(connection);
        }
    }
}

/// What the upstream should speak for a request of the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    /// Either version, HTTP/2 where the upstream speaks it.
    Any,
    /// A WebSocket: a connection for it alone, in HTTP/1, which can be upgraded.
    Upgrade,
}

impl Protocol {
    /// `takes_bodies`: whether requests to this upstream may have bodies.
    fn of(head: &Parts, takes_bodies: bool) -> Protocol {
        match head.version {
            _ if head.headers.contains_key(UPGRADE) => Protocol::Upgrade,
            Version::HTTP_2 => Protocol::Any,
            _ if takes_bodies => Protocol::Any,
            _ => Protocol::Http1,
        }
    }

    fn offer(self) -> Offer {
        if self == Protocol::Any { Offer::Both } else { Offer::Http1 }
    }
}

/// A connection that is done with the request before. Where more are kept than `busy` requests need, one is about to be.
async fn take_idle(idle: &mut Vec<Http1Connection>, busy: usize) -> Option<Http1Connection> {
    idle.retain(|connection| !connection.sender.is_closed());
    if let Some(index) = idle.iter().rposition(|connection| connection.sender.is_ready()) {
        return Some(idle.swap_remove(index));
    }
    if idle.len() <= busy {
        return None;
    }
    let any = poll_fn(|cx| {
        idle.retain(|connection| !connection.sender.is_closed());
        let mut connections = idle.iter_mut();
        let ready = connections.position(|connection| matches!(connection.sender.poll_ready(cx), Poll::Ready(Ok(()))));
        match ready {
            Some(index) => Poll::Ready(Some(idle.swap_remove(index))),
            None if idle.is_empty() => Poll::Ready(None),
            None => Poll::Pending,
        }
    });
    timeout(POOL_WAIT, any).await.ok().flatten()
}

const TOO_MANY_INTERIM: &str = "the upstream sends interim answers (status 1xx) without end";

/// Counts the interim answers to a request over HTTP/1. What comes back is notified of one too many.
fn count_interim_answers(request: &mut Request<Box<Upload>>) -> Arc<Notify> {
    let too_many = Arc::new(Notify::new());
    let (notify, count) = (too_many.clone(), AtomicUsize::new(0));
    hyper::ext::on_informational(request, move |_| {
        if count.fetch_add(1, Relaxed) >= MAX_INTERIM_ANSWERS {
            notify.notify_one();
        }
    });
    too_many
}
