//! HTTP on one connection: each request is judged, in the order of the design, and only then forwarded.
//!
//! Host rule and port, then names, then the address, then git, method and path; then credentials come off and ours go
//! on. The upstream connection belongs to this one client connection and is used again for its next request.

use super::body::{Body, Upload};
use super::dial::{Target, Trouble, authority};
use super::door::{GREETING, Place};
use super::gulp::Gulp;
use super::headers;
use super::inspect::{Filter, Inspector};
use super::pages::{Reader, explain, failure, refusal};
use super::raw;
use super::table::{Table, plain};
use super::tally::Tally;
use super::{Egress, Passage};
use claude_bottle::policy::{Ask, Denial, Reason, Role, plain_name};
use claude_bottle::protocol::{GATE_HOST, Outcome};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{EXPECT, HOST, HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector};

/// For the head of a request, counted from the end of the one before: an idle connection ends here, too.
const HEAD: Duration = Duration::from_secs(60);
/// Bytes of a request's head.
const LARGEST_HEAD: usize = 64 * 1024;
/// Bytes of hyper's buffers, each direction and side.
const BUFFER: usize = 128 * 1024;
/// For the TLS handshake with an upstream.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes of a refused request's body that are read and forgotten, so that the connection stays usable.
const FORGOTTEN: u64 = 1024 * 1024;

/// One connection of the agent's.
pub struct Conversation {
    egress: Arc<Egress>,
    _place: Place,
    /// What the connection asked for.
    host: String,
    port: u16,
    line: Mutex<Line>,
}

/// The way on, as far as it is known.
#[derive(Default)]
struct Line {
    /// Of the policy by which it was found.
    generation: u64,
    target: Option<Target>,
    sender: Option<SendRequest<Upload>>,
}

impl Line {
    /// Another policy may lead elsewhere.
    fn follow(&mut self, table: &Table) {
        if self.generation != table.generation {
            *self = Line { generation: table.generation, ..Line::default() };
        }
    }
}

/// What TLS said about the name, if there was TLS.
type Sni = Option<String>;

impl Conversation {
    pub fn new(egress: Arc<Egress>, place: Place, host: String, port: u16) -> Arc<Conversation> {
        Arc::new(Conversation { egress, _place: place, host, port, line: Mutex::default() })
    }

    pub async fn serve(self: Arc<Self>, stream: UnixStream) {
        if self.port == 80 {
            return self.speak(stream, None).await;
        }
        match self.handshake(stream).await {
            Ok((stream, sni)) => self.speak(stream, sni).await,
            Err(trouble) => {
                let mut tally = Tally::connection(&self.egress, &self.host, self.port);
                match trouble {
                    Trouble::Denied(denial) => tally.denied(&denial),
                    Trouble::Failed(_, why) => tally.failed(why),
                }
            }
        }
    }

    /// Refused names get their handshake as well: the refusal has to be read.
    async fn handshake(&self, stream: UnixStream) -> Result<(TlsStream<Gulp<UnixStream>>, Sni), Trouble> {
        let malformed = |why: String| Trouble::Denied(Denial::new(Reason::Malformed, why));
        let failed = |why: String| Trouble::Failed("tls", why);
        let stream = Gulp::new(stream);
        let started = timeout(GREETING, LazyConfigAcceptor::new(Acceptor::default(), stream))
            .await
            .map_err(|_| malformed("the TLS hello did not come".to_owned()))?
            .map_err(|error| malformed(format!("these bytes are not TLS: {error}")))?;
        let sni = started.client_hello().server_name().map(str::to_ascii_lowercase);
        let name = sni.as_deref().and_then(plain_name).unwrap_or_else(|| self.host.clone());
        let config = self.egress.authority.config(&name).map_err(failed)?;
        let stream = timeout(GREETING, started.into_stream(config))
            .await
            .map_err(|_| failed("the TLS handshake with the agent did not end".to_owned()))?
            .map_err(|error| failed(format!("TLS with the agent: {error}")))?;
        Ok((stream, sni))
    }

    async fn speak(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, sni: Sni) {
        let (this, sni) = (self.clone(), Arc::new(sni));
        let service = service_fn(move |request| {
            let (this, sni) = (this.clone(), sni.clone());
            async move { Ok::<_, Infallible>(this.answer(request, &sni).await) }
        });
        let served = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_header_size(LARGEST_HEAD)
            .max_buf_size(BUFFER)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(error) = served
            && (error.is_parse() || error.is_parse_too_large())
        {
            let mut tally = Tally::connection(&self.egress, &self.host, self.port);
            tally.denied(&Denial::new(Reason::Malformed, format!("this is not HTTP: {error}")));
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, sni: &Sni) -> Response<Body> {
        let mut tally = Tally::request(&self.egress, &self.host, self.port);
        tally.asked(request.method().as_str(), request.uri().path());
        match self.judge(&request, sni, &mut tally).await {
            Ok(Some(pass)) => {
                tally.allowed(pass.route);
                self.forward(request, &pass, tally).await
            }
            Ok(None) => {
                tally.audit.verdict = Outcome::Allow;
                let page = explain(&self.egress, request.method(), request.uri().path(), request.headers());
                self.page(page, tally, request).await
            }
            Err(Trouble::Denied(denial)) => {
                tally.denied(&denial);
                self.page(refusal(&denial, self.reader()), tally, request).await
            }
            Err(Trouble::Failed(word, text)) => {
                tally.failed(text.clone());
                self.page(failure(word, &text, self.reader()), tally, request).await
            }
        }
    }

    /// The whole decision. `None`: the request is for the gate itself.
    async fn judge(
        &self,
        request: &Request<Incoming>,
        sni: &Sni,
        tally: &mut Tally,
    ) -> Result<Option<Passage>, Trouble> {
        let table = tally.table.clone();
        let own = self.host == GATE_HOST;
        let first = if own { None } else { Some(table.policy.at(&self.host, self.port).map_err(Trouble::Denied)?) };
        let near = |denial: Denial| Trouble::Denied(Denial { route: denial.route.or(first), ..denial });
        self.check_names(request, sni).map_err(near)?;
        let Some(first) = first else { return Ok(None) };
        let mut line = self.line.lock().await;
        line.follow(&table);
        if line.target.is_none() {
            let found = self.egress.dialler.locate(&table, table.route(first), &self.host).await;
            line.target = Some(found.map_err(|trouble| match trouble {
                Trouble::Denied(denial) => near(denial),
                failed => failed,
            })?);
        }
        drop(line);
        if let Some(header) = headers::overriding(request.headers()) {
            return Err(near(Denial::new(Reason::Method, format!("header `{header}` is never allowed"))));
        }
        let uri = request.uri();
        let method = request.method().as_str();
        // Not `path()`, which makes `/` of a target that has none.
        let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let fields = headers::going_on(request.headers());
        let ask = Ask { host: &self.host, port: self.port, method, path, query, headers: &fields };
        let pass = table.policy.decide(&ask).map_err(near)?;
        if headers::websocket(request.headers()) && !table.route(pass.route).takes_websockets() {
            let text = format!("a WebSocket to `{}` could send anything, which its route does not allow", self.host);
            return Err(Trouble::Denied(Denial::new(Reason::Method, text).near(pass.route)));
        }
        tally.path(&pass.path);
        self.egress.in_time(Passage { table, pass }).await.map(Some).map_err(Trouble::Denied)
    }

    /// Connection, TLS and request must mean the same server.
    fn check_names(&self, request: &Request<Incoming>, sni: &Sni) -> Result<(), Denial> {
        let host = &self.host;
        let wrong = |what: &str, name: &str| {
            let name: String = name.chars().take(253).filter(|c| !c.is_control()).collect();
            Denial::new(Reason::Name, format!("{what} says `{name}`, the connection is for `{host}`"))
        };
        if let Some(sni) = sni
            && plain_name(sni).as_ref() != Some(host)
        {
            return Err(wrong("TLS", sni));
        }
        if let Some(authority) = request.uri().authority()
            && (plain_name(authority.host()).as_ref() != Some(host)
                || request.uri().scheme_str() != Some(if self.port == 80 { "http" } else { "https" })
                || !self.is_port(authority.port_u16()))
        {
            return Err(wrong("the request line", authority.host()));
        }
        let mut values = request.headers().get_all(HOST).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value,
            (None, _) if request.version() == Version::HTTP_10 => return Ok(()),
            (None, _) => return Err(Denial::new(Reason::Malformed, "the request has no host header")),
            (Some(_), Some(_)) => return Err(Denial::new(Reason::Malformed, "the request has two host headers")),
        };
        let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
        if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
            // It would be taken off with the hop, and the body read as what it is not.
            return Err(Denial::new(Reason::Malformed, "the request has an unknown transfer coding"));
        }
        let text = value.to_str().unwrap_or_default();
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().unwrap_or(0))),
            None => (text, None),
        };
        if plain_name(name).as_ref() != Some(host) || !self.is_port(port) {
            return Err(wrong("the host header", text));
        }
        Ok(())
    }

    /// Programs leave a default port out; some leave out others, too.
    fn is_port(&self, port: Option<u16>) -> bool {
        port.is_none_or(|port| port == self.port)
    }

    fn reader(&self) -> Reader {
        let table = self.egress.table();
        let model =
            table.policy.routes.iter().any(|route| route.role == Some(Role::Claude) && route.host.matches(&self.host));
        if model { Reader::Claude } else { Reader::Anyone }
    }

    /// An answer of the gate's own.
    async fn page(&self, response: Response<Body>, mut tally: Tally, request: Request<Incoming>) -> Response<Body> {
        tally.audit.status = Some(response.status().as_u16());
        tally.received = response.body().size_hint().exact().unwrap_or_default();
        // Whoever waits for "continue" has sent nothing.
        let waits = request.headers().contains_key(EXPECT);
        let mut body = request.into_body();
        if !waits && body.size_hint().lower() <= FORGOTTEN {
            let forget = async {
                let mut count = 0;
                while count <= FORGOTTEN
                    && let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
                {
                    count += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
            };
            let _ = timeout(Duration::from_secs(2), forget).await;
        }
        response
    }

    async fn forward(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        pass: &Passage,
        mut tally: Tally,
    ) -> Response<Body> {
        let upgrade = headers::websocket(request.headers()).then(|| hyper::upgrade::on(&mut request));
        let (mut head, incoming) = request.into_parts();
        let inspector = match Inspector::new(&self.egress, &self.host, pass, &head) {
            Ok(inspector) => inspector,
            Err(denial) => {
                tally.denied(&denial);
                return self.page(refusal(&denial, self.reader()), tally, Request::from_parts(head, incoming)).await;
            }
        };
        if let Err(why) = self.rewrite(&mut head, pass, upgrade.is_some()).await {
            tally.failed(why);
            return self.broken("request", tally);
        }
        let incoming = (!incoming.is_end_stream()).then_some(incoming);
        let spare = incoming.is_none().then(|| head.clone());
        let upload = Upload::new(incoming, inspector, &tally, pass.table.own_headers.clone());
        let renewed;
        let (sent, pass) = match self.send(head, upload, pass).await {
            Ok(response) if response.status() == StatusCode::UNAUTHORIZED => match self.reject(pass, spare).await {
                Some((sent, next)) => {
                    renewed = next;
                    (sent, &renewed)
                }
                None => (Ok(response), pass),
            },
            sent => (sent, pass),
        };
        match sent {
            Ok(response) => self.pass_on(response, pass, upgrade, tally),
            Err(Trouble::Failed(word, text)) => {
                tally.failed(text);
                self.broken(word, tally)
            }
            Err(Trouble::Denied(denial)) => {
                tally.denied(&denial);
                let response = refusal(&denial, self.reader());
                tally.audit.status = Some(response.status().as_u16());
                response
            }
        }
    }

    /// The upstream did not take the token: a request without a body is sent once more, if another token comes soon.
    async fn reject(
        &self,
        pass: &Passage,
        spare: Option<Parts>,
    ) -> Option<(Result<Response<Incoming>, Trouble>, Passage)> {
        self.egress.reject(pass);
        let mut head = spare?;
        let next = self.egress.next(pass).await?;
        if let Some(injection) = next.injection() {
            head.headers.insert(injection.name.clone(), injection.value.clone());
        }
        Some((self.send(head, Upload::nothing(), &next).await, next))
    }

    /// `tally.failed` was called.
    fn broken(&self, word: &str, mut tally: Tally) -> Response<Body> {
        let response = failure(word, tally.audit.reason.as_deref().unwrap_or("the upstream failed"), self.reader());
        tally.audit.status = Some(response.status().as_u16());
        response
    }

    async fn rewrite(&self, head: &mut Parts, pass: &Passage, websocket: bool) -> Result<(), String> {
        let (table, route) = (&pass.table, pass.rule());
        headers::outgoing(&mut head.headers, route, &table.own_headers, pass.injection());
        if websocket {
            headers::upgrade(&mut head.headers);
        }
        let default = if self.port == 80 { 80 } else { 443 };
        let host = if self.port == default { self.host.clone() } else { authority(&self.host, self.port) };
        head.headers.insert(HOST, HeaderValue::try_from(host).map_err(|_| "the host is not a header value")?);
        head.version = Version::HTTP_11;
        let path = head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let line = self.line.lock().await;
        head.uri = match (&line.target, &table.proxy) {
            // A plain request through a proxy is the one place where the proxy reads it.
            (Some(Target::Proxied { host, port }), Some(proxy)) if plain(route) => {
                if let Some(credentials) = &proxy.credentials {
                    head.headers.insert(PROXY_AUTHORIZATION, credentials.clone());
                }
                Uri::builder().scheme("http").authority(authority(host, *port)).path_and_query(path).build()
            }
            _ => Uri::builder().path_and_query(path).build(),
        }
        .map_err(|_| "the path is not a URI")?;
        Ok(())
    }

    /// On the connection of the request before, if it still lives; a request that never left is sent on a new one.
    async fn send(&self, mut head: Parts, upload: Upload, pass: &Passage) -> Result<Response<Incoming>, Trouble> {
        let empty = upload.is_end_stream();
        if !empty && upload.size_hint().exact().is_none() {
            // hyper would otherwise take the body of a GET for none.
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let again = empty && matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let spare = again.then(|| head.clone());
        let verdict = upload.verdict();
        let failed = |error: &hyper::Error| match verdict.get() {
            Some(denial) => Trouble::Denied(Denial { route: denial.route.or(Some(pass.route)), ..denial.clone() }),
            None => broke(error),
        };
        let mut request = Request::from_parts(head, upload);
        let mut line = self.line.lock().await;
        line.follow(&pass.table);
        if let Some(mut sender) = line.sender.take()
            && usable(&mut sender).await
        {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    line.sender = Some(sender);
                    return Ok(response);
                }
                Err(mut error) => match (error.take_message(), spare) {
                    (Some(unsent), _) => request = unsent,
                    // The upstream closed an idle connection at the same moment: nothing was lost.
                    (None, Some(head)) => request = Request::from_parts(head, Upload::nothing()),
                    (None, None) => return Err(failed(error.error())),
                },
            }
        }
        let mut sender = match self.connect(&line, pass).await {
            Ok(sender) => sender,
            Err(trouble) => {
                // The name may lead elsewhere by now.
                line.target = None;
                return Err(trouble);
            }
        };
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        line.sender = Some(sender);
        Ok(response)
    }

    async fn connect(&self, line: &Line, pass: &Passage) -> Result<SendRequest<Upload>, Trouble> {
        let (dialler, table, route): (_, &Table, _) = (&self.egress.dialler, &pass.table, pass.rule());
        let found;
        let target = match &line.target {
            Some(target) => target,
            None => {
                found = dialler.locate(table, route, &self.host).await?;
                &found
            }
        };
        if plain(route) {
            return converse(dialler.open(table, target).await?).await;
        }
        let failed = |why: String| Trouble::Failed("tls", format!("TLS with `{}`: {why}", self.host));
        let stream = Gulp::new(dialler.tunnel(table, target).await?);
        let config = table.tls(route).ok_or_else(|| failed("no trust store".to_owned()))?;
        let name = ServerName::try_from(self.host.clone()).map_err(|_| failed("not a server's name".to_owned()))?;
        let stream = timeout(HANDSHAKE, TlsConnector::from(config).connect(name, stream))
            .await
            .map_err(|_| failed("no answer".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        converse(stream).await
    }

    fn pass_on(
        self: Arc<Self>,
        response: Response<Incoming>,
        pass: &Passage,
        upgrade: Option<OnUpgrade>,
        mut tally: Tally,
    ) -> Response<Body> {
        let status = response.status();
        match (status, upgrade) {
            (StatusCode::SWITCHING_PROTOCOLS, Some(agent)) => {
                tally.audit.status = Some(status.as_u16());
                self.switch(response, agent, tally)
            }
            (StatusCode::SWITCHING_PROTOCOLS, None) => {
                tally.failed("the upstream switched protocols unasked");
                self.broken("upgrade", tally)
            }
            (StatusCode::PROXY_AUTHENTICATION_REQUIRED, _) if pass.table.proxy.is_some() => {
                tally.failed("the upstream proxy refused its credentials");
                self.broken("proxy", tally)
            }
            _ => {
                tally.audit.status = Some(status.as_u16());
                let (mut head, incoming) = response.into_parts();
                headers::incoming(&mut head.headers);
                head.version = Version::HTTP_11;
                let filter = Box::new(Filter::new(&self.egress, pass, &mut head));
                let tally = Box::new(tally);
                Response::from_parts(head, Body::Stream { incoming, filter, trailers: None, tally, ended: false })
            }
        }
    }

    /// From here on bytes pass both ways until one side ends.
    fn switch(self: Arc<Self>, mut response: Response<Incoming>, agent: OnUpgrade, tally: Tally) -> Response<Body> {
        let upstream = hyper::upgrade::on(&mut response);
        let (mut head, _) = response.into_parts();
        headers::incoming(&mut head.headers);
        headers::upgrade(&mut head.headers);
        tokio::spawn(async move {
            // Holds its place among the connections; and the tally is moved as a whole, or it would count a copy.
            let (_this, mut tally) = (self, tally);
            match tokio::try_join!(agent, upstream) {
                Ok((agent, upstream)) => {
                    raw::shuttle(TokioIo::new(agent), TokioIo::new(upstream), &mut tally).await;
                }
                Err(error) => tally.failed(format!("the switch of protocols failed: {error}")),
            }
        });
        Response::from_parts(head, Body::Page(None))
    }
}

/// Is the connection still there, and done with the request before?
async fn usable(sender: &mut SendRequest<Upload>) -> bool {
    sender.is_ready() || matches!(timeout(Duration::from_millis(100), sender.ready()).await, Ok(Ok(())))
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Upload>, Trouble> {
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_header_size(LARGEST_HEAD)
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broke(&error))?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

fn broke(error: &hyper::Error) -> Trouble {
    Trouble::Failed("upstream", format!("the upstream broke off: {error}"))
}
