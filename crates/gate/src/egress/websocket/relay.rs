//! Relays a WebSocket between the agent and an upstream: what the agent sends is inspected before it leaves, what comes back
//! is filtered like any answer. Messages stream; compression is never negotiated, so that they can be read.
//!
//! A finding that blocks ends the WebSocket with status 1008 and is recorded.

use crate::audit::record::AuditRecord;
use crate::egress::inspect::answer::AnswerFinding;
use crate::egress::inspect::request::RequestInspector;
use crate::egress::limits::{WEBSOCKET_CLOSE_TIMEOUT, WEBSOCKET_READ_BYTES};
use crate::egress::turns::Turns;
use crate::egress::websocket::frames::{Frames, Part, Sender, policy_violation};
use crate::egress::websocket::message_filters::MessageFilters;
use crate::egress::websocket::reframe::Reframer;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use policy::{Denial, Reason};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::timeout;

/// A WebSocket that the agent has asked for, until the upstream agrees.
pub struct WebSocketRequest {
    pub agent: OnUpgrade,
    pub inspectors: Inspectors,
}

/// Inspects what the agent sends. Control frames stand between the parts of a message, and would cut it in two if both were
/// inspected as one stream.
pub struct Inspectors {
    pub messages: RequestInspector,
    pub control: RequestInspector,
}

/// Why a WebSocket ended.
enum End {
    Denied(Denial),
    /// What the upstream sends may not pass, or cannot be read.
    Failed(String),
    /// One side closed its connection.
    Closed,
}

impl WebSocketRequest {
    /// The upstream has agreed: relays in a task of its own, which holds `guard` until the WebSocket has ended.
    pub fn accept(
        self,
        upstream: OnUpgrade,
        filters: MessageFilters,
        mut record: AuditRecord,
        guard: impl Send + 'static,
    ) {
        let WebSocketRequest { agent, inspectors } = self;
        tokio::spawn(async move {
            let _guard = guard;
            match tokio::try_join!(agent, upstream) {
                Ok((agent, upstream)) => {
                    let relay = Relay { inspectors, filters, record };
                    relay.run(TokioIo::new(agent), TokioIo::new(upstream)).await;
                }
                Err(error) => record.failed(format!("the switch of protocols failed: {error}")),
            }
        });
    }
}

struct Relay {
    inspectors: Inspectors,
    filters: MessageFilters,
    record: AuditRecord,
}

impl Relay {
    async fn run<A, U>(self, agent: A, upstream: U)
    where
        A: AsyncRead + AsyncWrite,
        U: AsyncRead + AsyncWrite,
    {
        let Relay { mut inspectors, filters, mut record } = self;
        let (from_agent, to_agent) = split(agent);
        let (from_upstream, to_upstream) = split(upstream);
        let mut to_agent = ToAgent { half: to_agent, is_between: true, count: 0, finding: None };
        let end = {
            let mut up = pin!(inspectors.relay(from_agent, to_upstream, &record.sent));
            let mut down = pin!(to_agent.relay(from_upstream, &filters));
            let (end, is_up) = tokio::select! {
                end = &mut up => (end, true),
                end = &mut down => (end, false),
            };
            match end {
                End::Closed if is_up => timeout(WEBSOCKET_CLOSE_TIMEOUT, down).await.unwrap_or(End::Closed),
                End::Closed => timeout(WEBSOCKET_CLOSE_TIMEOUT, up).await.unwrap_or(End::Closed),
                end => end,
            }
        };
        record.received += to_agent.count;
        if let Some(finding) = &to_agent.finding {
            record.alarm(finding.text, finding.done);
        }
        let why = match end {
            End::Closed => return,
            End::Denied(denial) => {
                record.denied(&denial);
                denial.text
            }
            End::Failed(why) => {
                record.failed(why.clone());
                why
            }
        };
        if to_agent.is_between {
            let close = policy_violation(&format!("claude-bottle: {why}"));
            let _ = timeout(WEBSOCKET_CLOSE_TIMEOUT, to_agent.send(&close)).await;
        }
        let _ = timeout(WEBSOCKET_CLOSE_TIMEOUT, to_agent.half.shutdown()).await;
    }
}

impl Inspectors {
    /// Relays from the agent to the upstream. A read passes as it came, after all of it was inspected. `sent`: counts its
    /// bytes.
    async fn relay(
        &mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        sent: &AtomicU64,
    ) -> End {
        let (mut frames, mut raw, mut unmasked) =
            (Frames::new(Sender::Agent), vec![0; WEBSOCKET_READ_BYTES], Vec::new());
        let mut turns = Turns::default();
        loop {
            let Ok(count @ 1..) = from.read(&mut raw).await else {
                let _ = to.shutdown().await;
                return End::Closed;
            };
            unmasked.clear();
            unmasked.extend_from_slice(&raw[..count]);
            if let Err(denial) = self.inspect(&mut frames, &mut unmasked).await {
                return End::Denied(denial);
            }
            turns.inspected(count);
            turns.wait().await;
            if to.write_all(&raw[..count]).await.is_err() || to.flush().await.is_err() {
                return End::Closed;
            }
            sent.fetch_add(count as u64, Relaxed);
        }
    }

    async fn inspect(&mut self, frames: &mut Frames, mut rest: &mut [u8]) -> Result<(), Denial> {
        while !rest.is_empty() {
            let (taken, part) = frames.take(rest).map_err(|why| Denial::new(Reason::Malformed, why))?;
            let (bytes, behind) = rest.split_at_mut(taken);
            match part {
                Part::Head => {}
                Part::Message => self.messages.watch(bytes)?,
                Part::Control => self.control.watch(bytes)?,
            }
            if frames.is_between() {
                match frames.is_control() {
                    true => self.control.end_message()?,
                    false if frames.is_final() => self.messages.end_message()?,
                    false => {}
                }
            }
            for inspector in [&mut self.messages, &mut self.control] {
                poll_fn(|cx| inspector.poll_unpacked(cx)).await?;
            }
            rest = behind;
        }
        Ok(())
    }
}

/// The writing half of the agent's connection.
struct ToAgent<W> {
    half: W,
    /// The bytes so far end with a frame.
    is_between: bool,
    count: u64,
    /// The first finding in what the upstream sent.
    finding: Option<AnswerFinding>,
}

impl<W: AsyncWrite + Unpin> ToAgent<W> {
    /// Relays from the upstream to the agent. Frames pass as they are, unless their messages are filtered.
    async fn relay(&mut self, mut from: impl AsyncRead + Unpin, filters: &MessageFilters) -> End {
        let (mut frames, mut raw) = (Frames::new(Sender::Upstream), vec![0; WEBSOCKET_READ_BYTES]);
        let mut reframer = match filters.for_message() {
            Ok(filter) => (!filter.is_transparent()).then(|| Reframer::new(filters)),
            Err(why) => return End::Failed(why),
        };
        let mut turns = Turns::default();
        loop {
            let Ok(count @ 1..) = from.read(&mut raw).await else {
                let _ = self.half.shutdown().await;
                return End::Closed;
            };
            let mut read = 0;
            while read < count {
                let (taken, part) = match frames.take(&mut raw[read..count]) {
                    Ok(taken) => taken,
                    Err(why) => return End::Failed(format!("the upstream's WebSocket: {why}")),
                };
                if let Some(reframer) = &mut reframer {
                    let pushed = reframer.push(&frames, part, &raw[read..read + taken]).await;
                    self.finding = self.finding.take().or(reframer.finding.take());
                    if let Err(why) = pushed {
                        return End::Failed(why);
                    }
                }
                read += taken;
            }
            if reframer.is_some() {
                turns.inspected(count);
                turns.wait().await;
            }
            let written = match &mut reframer {
                Some(reframer) => self.send(&std::mem::take(&mut reframer.ready)).await,
                None => self.send(&raw[..count]).await,
            };
            if written.is_err() {
                return End::Closed;
            }
            self.is_between = reframer.is_some() || frames.is_between();
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.is_between = false;
        self.half.write_all(bytes).await?;
        self.half.flush().await?;
        self.count += bytes.len() as u64;
        Ok(())
    }
}
