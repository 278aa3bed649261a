//! An upstream over https: git's smart protocol, spoken by the gate, so that git itself needs no network. A request of git's
//! becomes one POST, and what its answer carries goes back to git.

use crate::egress::Egress;
use crate::egress::limits::{HTTP1_BUFFER_BYTES, MAX_HEAD_BYTES};
use crate::egress::peer::authority;
use crate::egress::upstream::connection::{Offer, secure, tls_failed};
use crate::egress::upstream::tls_failure;
use crate::git::failure::Failure;
use crate::git::limits::{
    ADVERTISEMENT_TIMEOUT, COPY_BYTES, MAX_FETCH_REQUEST_BYTES, TRANSFER_TIMEOUT, UPSTREAM_IDLE_TIMEOUT,
};
use crate::git::link::{Link, Place};
use crate::git::packets::{Packet, push_packet, read_packet};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wire::{GitCommand, encode_base64};

/// What servers are told, some of which answer only to git.
const AGENT: &str = concat!("git/2.47 claude-bottle/", env!("CARGO_PKG_VERSION"));

pub struct HttpsUpstream {
    pub place: Place,
    /// Begins with `/`.
    pub path: String,
    pub user: String,
    /// Name of the value that is the password.
    pub token: Option<String>,
}

type RequestBody = BoxBody<Bytes, Infallible>;

/// One operation: its connection is made when it is needed, and again where the server has closed it.
struct Session {
    egress: Arc<Egress>,
    upstream: Arc<HttpsUpstream>,
    command: GitCommand,
    sender: Option<http1::SendRequest<RequestBody>>,
    /// Value of the header `authorization`, once the token is known.
    authorization: Option<HeaderValue>,
}

impl HttpsUpstream {
    /// Asks for the list of refs, and carries what follows.
    pub fn open(self: &Arc<Self>, egress: &Arc<Egress>, command: GitCommand) -> Result<Link, Failure> {
        let failed = |error: std::io::Error| Failure::error(format!("cannot reach the upstream: {error}"));
        let (stream, theirs) = UnixStream::pair().map_err(failed)?;
        let session =
            Session { egress: egress.clone(), upstream: self.clone(), command, sender: None, authorization: None };
        Ok(Link::new(stream, tokio::spawn(async move { session.carry(theirs).await.err() })))
    }

    /// The path of one of git's resources below the repository.
    fn resource(&self, name: &str) -> String {
        format!("{}/{name}", self.path.trim_end_matches('/'))
    }
}

impl Session {
    async fn carry(mut self, stream: UnixStream) -> Result<(), Failure> {
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::with_capacity(COPY_BYTES, read);
        let list = timeout(ADVERTISEMENT_TIMEOUT, self.list()).await;
        let answer = list.map_err(|_| Failure::error("the upstream did not answer in time"))??;
        self.pass(answer, &mut write, self.command == GitCommand::UploadPack).await?;
        match self.command {
            GitCommand::ReceivePack => self.push(read, &mut write).await?,
            _ => {
                while let Some(request) = read_request(&mut read).await? {
                    let body = Full::new(Bytes::from(request)).boxed();
                    let answer = self.post(body).await?;
                    self.pass(answer, &mut write, false).await?;
                }
            }
        }
        let _ = write.shutdown().await;
        Ok(())
    }

    /// Sends all that the gate says up to its end as one request.
    async fn push(&mut self, mut read: BufReader<OwnedReadHalf>, write: &mut OwnedWriteHalf) -> Result<(), Failure> {
        let (sender, receiver) = mpsc::channel(2);
        let feed = async move {
            loop {
                let mut part = Vec::with_capacity(COPY_BYTES);
                match read.read_buf(&mut part).await {
                    Ok(1..) if sender.send(part.into()).await.is_ok() => {}
                    _ => return,
                }
            }
        };
        let body = BodyExt::boxed(StreamBody::new(Parts(receiver)));
        // The server may answer before it has read all.
        let feed = tokio::spawn(feed);
        let answer = self.post(body).await;
        feed.abort();
        self.pass(answer?, write, false).await
    }

    /// The list of refs. A token that is rejected is asked for again, once.
    async fn list(&mut self) -> Result<Response<Incoming>, Failure> {
        let token = match &self.upstream.token {
            Some(name) => Some(self.egress.live.valid_value(name).await?),
            None => None,
        };
        self.authorize(token.as_deref())?;
        let answer = self.get_list().await?;
        let (Some(name), Some(token)) = (&self.upstream.token, token) else { return self.checked(answer) };
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.checked(answer);
        }
        let Some(next) = self.egress.live.replace_value(name, &token).await else { return self.checked(answer) };
        self.sender = None;
        self.authorize(Some(&next))?;
        let answer = self.get_list().await?;
        self.checked(answer)
    }

    fn authorize(&mut self, token: Option<&[u8]>) -> Result<(), Failure> {
        let Some(token) = token else { return Ok(()) };
        let pair = [self.upstream.user.as_bytes(), b":", token].concat();
        let mut value = HeaderValue::try_from(format!("Basic {}", encode_base64(&pair)))
            .map_err(|_| Failure::error("the token cannot stand in a header"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(())
    }

    async fn get_list(&mut self) -> Result<Response<Incoming>, Failure> {
        let target = self.upstream.resource(&format!("info/refs?service={}", self.command.program()));
        let request = self.request(Method::GET, target, Empty::new().boxed())?;
        self.send(request).await
    }

    async fn post(&mut self, body: RequestBody) -> Result<Response<Incoming>, Failure> {
        let name = self.command.program();
        let mut request = self.request(Method::POST, self.upstream.resource(name), body)?;
        let kind = |end: &str| HeaderValue::try_from(format!("application/x-{name}-{end}"));
        for (header, end) in [(CONTENT_TYPE, "request"), (ACCEPT, "result")] {
            if let Ok(value) = kind(end) {
                request.headers_mut().insert(header, value);
            }
        }
        let answer = self.send(request).await?;
        self.checked(answer)
    }

    fn request(&self, method: Method, target: String, body: RequestBody) -> Result<Request<RequestBody>, Failure> {
        let Place { host, port, .. } = &self.upstream.place;
        let host = if *port == 443 { host.clone() } else { authority(host, *port) };
        let mut request = Request::builder().method(method).uri(target).header(HOST, host).header(USER_AGENT, AGENT);
        if self.command == GitCommand::UploadPack {
            request = request.header("git-protocol", "version=2");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request.body(body).map_err(|_| Failure::error("the path of the remote is not one of a URL"))
    }

    async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Failure> {
        let broke = |error: hyper::Error| Failure::error(format!("the upstream broke off: {error}"));
        let mut kept = self.sender.take();
        let is_open = match &mut kept {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        let mut sender = match kept {
            Some(sender) if is_open => sender,
            _ => self.connect().await?,
        };
        // A pack is on its way before its answer.
        let limit = if request.method() == Method::POST { TRANSFER_TIMEOUT } else { UPSTREAM_IDLE_TIMEOUT };
        let answer = timeout(limit, sender.send_request(request)).await;
        let answer = answer.map_err(|_| Failure::error("the upstream did not answer in time"))?.map_err(broke)?;
        self.sender = Some(sender);
        Ok(answer)
    }

    async fn connect(&self) -> Result<http1::SendRequest<RequestBody>, Failure> {
        let Place { host, .. } = &self.upstream.place;
        let failed = |why: String| Failure::from(tls_failed(host, &why));
        let stream = self.upstream.place.dial(&self.egress).await?;
        let config = self.egress.live.snapshot().plain_tls();
        let stream =
            secure(config, Offer::Http1, host, stream).await?.map_err(|error| failed(tls_failure::explain(&error)))?;
        let (sender, connection) = http1::Builder::new()
            .max_header_size(MAX_HEAD_BYTES)
            .max_buf_size(HTTP1_BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.to_string()))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// An answer of git's; every other one is explained.
    fn checked(&self, answer: Response<Incoming>) -> Result<Response<Incoming>, Failure> {
        let status = answer.status();
        if status == StatusCode::OK {
            return Ok(answer);
        }
        Err(Failure::error(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if self.upstream.token.is_some() => {
                format!("the upstream does not accept this remote's token for that ({status})")
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!("the upstream wants a token, and this remote has none ({status})")
            }
            StatusCode::NOT_FOUND => {
                "the upstream has no such repository, or this remote's token may not read it (404)".to_owned()
            }
            status if status.is_redirection() => {
                let to = answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default();
                let to = to.split(['?', '#']).next().unwrap_or_default();
                return Err(Failure::denied(format!(
                    "the upstream redirects to `{to}`, which is not followed: the manifest has to name the new URL"
                )));
            }
            status => format!("the upstream answered {status}"),
        }))
    }

    /// Passes the body of an answer on. `is_list`: it is a list of refs to fetch, which must be one of version 2.
    async fn pass(
        &self,
        mut answer: Response<Incoming>,
        write: &mut OwnedWriteHalf,
        is_list: bool,
    ) -> Result<(), Failure> {
        let lost = |error: std::io::Error| Failure::error(format!("the upstream's answer was cut off: {error}"));
        let kind = answer.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if !kind.starts_with(format!("application/x-{}-", self.command.program()).as_bytes()) {
            return Err(Failure::error("the upstream is no git server of the smart protocol"));
        }
        let is_advertisement = kind.ends_with(b"-advertisement");
        let mut first = is_advertisement.then(Vec::new);
        loop {
            let frame = timeout(UPSTREAM_IDLE_TIMEOUT, answer.body_mut().frame()).await;
            let frame = frame.map_err(|_| Failure::error("the upstream fell silent"))?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| Failure::error(format!("the upstream broke off: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            match &mut first {
                None => write.write_all(&data).await.map_err(lost)?,
                Some(seen) => {
                    seen.extend_from_slice(&data);
                    if seen.len() >= HEADING_BYTES {
                        write.write_all(&without_heading(seen, is_list).await?).await.map_err(lost)?;
                        first = None;
                    }
                }
            }
        }
        if let Some(seen) = first {
            write.write_all(&without_heading(&seen, is_list).await?).await.map_err(lost)?;
        }
        Ok(())
    }
}

/// Bytes in which the heading of a list is, and the first packet after it.
const HEADING_BYTES: usize = 256;

/// The beginning of a list of refs without its heading, `# service=…`, which only http has.
async fn without_heading(seen: &[u8], must_be_version_2: bool) -> Result<Vec<u8>, Failure> {
    let malformed = |_| Failure::error("the upstream's list of refs is malformed");
    let mut rest = seen;
    let before = rest;
    match read_packet(&mut rest).await.map_err(malformed)? {
        Some(Packet::Data(data)) if data.starts_with(b"# service=") => {
            let after = rest;
            if read_packet(&mut rest).await.map_err(malformed)? != Some(Packet::Flush) {
                rest = after;
            }
        }
        _ => rest = before,
    }
    if must_be_version_2 {
        let mut peek = rest;
        let first = read_packet(&mut peek).await.map_err(malformed)?;
        if !matches!(first, Some(Packet::Data(data)) if data.trim_ascii_end() == b"version 2") {
            return Err(Failure::error("the upstream does not speak version 2 of git's protocol: use its ssh URL"));
        }
    }
    Ok(rest.to_vec())
}

/// One request of git's, up to its flush, with all its packets. `None`: git has ended.
async fn read_request(read: &mut BufReader<OwnedReadHalf>) -> Result<Option<Vec<u8>>, Failure> {
    let malformed = |error: std::io::Error| Failure::error(format!("git's request is malformed: {error}"));
    let mut request = Vec::new();
    loop {
        match read_packet(read).await.map_err(malformed)? {
            Some(Packet::Data(data)) => push_packet(&mut request, &data),
            Some(Packet::Delimiter) => request.extend_from_slice(b"0001"),
            Some(Packet::ResponseEnd) => request.extend_from_slice(b"0002"),
            Some(Packet::Flush) if request.is_empty() => return Ok(None),
            Some(Packet::Flush) => {
                request.extend_from_slice(b"0000");
                return Ok(Some(request));
            }
            None => return Ok(None),
        }
        if request.len() > MAX_FETCH_REQUEST_BYTES {
            return Err(Failure::error("git asks the upstream for more than fits into one request"));
        }
    }
}

/// The parts of a request's body, as they come.
struct Parts(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Parts {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}
