//! A WebSocket between the agent and an upstream: what the agent sends is read before it leaves, what comes back as every
//! answer is. Messages stream; compression is never negotiated, so that they can be read.
//!
//! A finding ends it with 1008 and an audit line.

use crate::audit::record::AuditRecord;
use crate::egress::AllowedRequest;
use crate::egress::inspect::body::{AnswerFilter, Finding, RequestInspector};
use crate::egress::inspect::headers;
use crate::egress::websocket::frames::{Frames, Part, Sender, close};
use crate::egress::websocket::reframe::Rebuilt;
use hyper::body::Incoming;
use hyper::http::response;
use hyper::upgrade::OnUpgrade;
use hyper::{Response, Version};
use hyper_util::rt::TokioIo;
use policy::{Denial, Reason};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::timeout;

/// Bytes of one read.
const PART: usize = 16 * 1024;
/// For the other side, once one has ended; and for a last word to the agent.
const GRACE: Duration = Duration::from_secs(10);

/// What a request for a WebSocket brings along, in case it is granted.
pub struct Switch {
    pub agent: OnUpgrade,
    pub messages: RequestInspector,
    /// Control frames stand between the parts of a message: read as one stream they would cut it.
    pub control: RequestInspector,
    pub pass: AllowedRequest,
}

/// Why a WebSocket ended.
enum End {
    Denied(Denial),
    /// What the upstream sends may not pass, or cannot be read.
    Failed(String),
    /// As all connections end.
    Gone,
}

/// What an upstream's messages are read with.
pub struct Reply {
    pass: AllowedRequest,
    head: response::Parts,
}

impl Reply {
    /// For one message.
    pub fn filter(&self) -> Result<AnswerFilter, String> {
        AnswerFilter::new("GET", &self.pass, &mut self.head.clone())
    }
}

impl Switch {
    /// The upstream agreed: relays until one side ends. `permit` is held as long. Returns the head of the answer.
    pub fn on(
        self,
        permit: impl Send + 'static,
        mut response: Response<Incoming>,
        record: AuditRecord,
    ) -> response::Parts {
        let upstream = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        headers::incoming(&mut head.headers);
        headers::upgrade(&mut head.headers);
        head.version = Version::HTTP_11;
        let told = head.clone();
        tokio::spawn(async move {
            // The record is moved as a whole, or it would count a copy.
            let mut record = record;
            let _permit = permit;
            let Switch { agent, messages, control, pass } = self;
            match tokio::try_join!(agent, upstream) {
                Ok((agent, upstream)) => {
                    let reply = Reply { pass, head: told };
                    let sides = (TokioIo::new(agent), TokioIo::new(upstream));
                    talk(sides, (messages, control), &reply, &mut record).await;
                }
                Err(error) => record.failed(format!("the switch of protocols failed: {error}")),
            }
        });
        head
    }
}

async fn talk<A, U>(
    sides: (A, U),
    inspectors: (RequestInspector, RequestInspector),
    reply: &Reply,
    record: &mut AuditRecord,
) where
    A: AsyncRead + AsyncWrite,
    U: AsyncRead + AsyncWrite,
{
    let ((from_agent, to_agent), (from_upstream, to_upstream)) = (split(sides.0), split(sides.1));
    let mut out = Out { half: to_agent, between: true, count: 0, finding: None };
    let end = {
        let mut up = pin!(upward(from_agent, to_upstream, inspectors, &record.sent));
        let mut down = pin!(downward(from_upstream, &mut out, reply));
        let (end, upward) = tokio::select! {
            end = &mut up => (end, true),
            end = &mut down => (end, false),
        };
        match end {
            End::Gone if upward => timeout(GRACE, down).await.unwrap_or(End::Gone),
            End::Gone => timeout(GRACE, up).await.unwrap_or(End::Gone),
            end => end,
        }
    };
    record.received += out.count;
    if let Some(finding) = &out.finding {
        record.alarm(finding.text, finding.done);
    }
    let why = match end {
        End::Gone => return,
        End::Denied(denial) => {
            record.denied(&denial);
            denial.text
        }
        End::Failed(why) => {
            record.failed(why.clone());
            why
        }
    };
    if out.between {
        let _ = timeout(GRACE, out.send(&close(&format!("claude-bottle: {why}")))).await;
    }
    let _ = timeout(GRACE, out.half.shutdown()).await;
}

async fn upward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (mut messages, mut control): (RequestInspector, RequestInspector),
    sent: &AtomicU64,
) -> End {
    let (mut frames, mut raw, mut plain) = (Frames::new(Sender::Agent), vec![0; PART], Vec::new());
    loop {
        let Ok(count @ 1..) = from.read(&mut raw).await else {
            let _ = to.shutdown().await;
            return End::Gone;
        };
        plain.clear();
        plain.extend_from_slice(&raw[..count]);
        let mut rest = &mut plain[..];
        while !rest.is_empty() {
            let (taken, part) = match frames.take(rest) {
                Ok(taken) => taken,
                Err(why) => return End::Denied(Denial::new(Reason::Malformed, why)),
            };
            let (bytes, behind) = rest.split_at_mut(taken);
            let looked = match part {
                Part::Head => Ok(()),
                Part::Message => messages.watch(bytes),
                Part::Control => control.watch(bytes),
            };
            if let Err(denial) = looked {
                return End::Denied(denial);
            }
            rest = behind;
        }
        if to.write_all(&raw[..count]).await.is_err() || to.flush().await.is_err() {
            return End::Gone;
        }
        sent.fetch_add(count as u64, Relaxed);
    }
}

async fn downward(mut from: impl AsyncRead + Unpin, out: &mut Out<impl AsyncWrite + Unpin>, reply: &Reply) -> End {
    let (mut frames, mut raw) = (Frames::new(Sender::Upstream), vec![0; PART]);
    let mut rebuilt = match reply.filter() {
        Ok(filter) => (!filter.is_still()).then(|| Rebuilt::new(reply)),
        Err(why) => return End::Failed(why),
    };
    loop {
        let Ok(count @ 1..) = from.read(&mut raw).await else {
            let _ = out.half.shutdown().await;
            return End::Gone;
        };
        let mut at = 0;
        while at < count {
            let (taken, part) = match frames.take(&mut raw[at..count]) {
                Ok(taken) => taken,
                Err(why) => return End::Failed(format!("the upstream's WebSocket: {why}")),
            };
            if let Some(rebuilt) = &mut rebuilt
                && let Err(why) = rebuilt.take(&frames, part, &raw[at..at + taken])
            {
                return End::Failed(why);
            }
            at += taken;
        }
        if let Some(rebuilt) = &mut rebuilt {
            out.finding = out.finding.take().or(rebuilt.finding.take());
        }
        let written = match &mut rebuilt {
            Some(rebuilt) => out.send(&std::mem::take(&mut rebuilt.ready)).await,
            None => out.send(&raw[..count]).await,
        };
        if written.is_err() {
            return End::Gone;
        }
        out.between = rebuilt.is_some() || frames.between();
    }
}

/// To the agent.
struct Out<W> {
    half: W,
    /// What was sent ends with a frame.
    between: bool,
    count: u64,
    /// The first one.
    finding: Option<Finding>,
}

impl<W: AsyncWrite + Unpin> Out<W> {
    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.between = false;
        self.half.write_all(bytes).await?;
        self.half.flush().await?;
        self.count += bytes.len() as u64;
        Ok(())
    }
}
