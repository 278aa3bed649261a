//! `supervise.bottle`: what the agent's programs reach there over HTTP. A message has a bound and a time; a call of a tool
//! is answered by a stream that says now and then that it is alive.

use crate::egress::Egress;
use crate::egress::as_judged::check_names;
use crate::egress::limits::GREETING_TIMEOUT;
use crate::egress::request::body::Body;
use crate::egress::request::own_response::{PLAIN, get_only, marked, page};
use crate::egress::request::serve::{self, AgentConnection, Sni};
use crate::egress::serve_error::ServeError;
use crate::git::service::GitService;
use crate::supervise::mcp::{ALIVE_INTERVAL, Mcp};
use crate::supervise::tools::AgentTools;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::time::timeout;
use wire::{MCP_URL, Outcome, SUPERVISE_HOST};

/// Bytes of one message of a client.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The service of one gate.
pub struct SuperviseService(StreamableHttpService<Mcp, NeverSessionManager>);

impl SuperviseService {
    pub fn new(egress: Arc<Egress>, git: Option<Arc<GitService>>) -> SuperviseService {
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_sse_keep_alive(Some(ALIVE_INTERVAL))
            .with_allowed_hosts([SUPERVISE_HOST])
            .enforce_origin_validation()
            .with_max_request_body_bytes(MAX_MESSAGE_BYTES);
        let mcp = Mcp(Arc::new(AgentTools::new(egress, git)));
        SuperviseService(StreamableHttpService::new(move || Ok(mcp.clone()), Arc::default(), config))
    }

    /// Serves the connection until it ends.
    pub async fn serve(self: Arc<Self>, connection: Arc<AgentConnection>, stream: UnixStream) {
        let service = connection.clone();
        let respond = move |request, sni| self.clone().respond(service.clone(), request, sni);
        serve::serve(connection, stream, respond).await;
    }

    async fn respond(
        self: Arc<Self>,
        connection: Arc<AgentConnection>,
        request: Request<Incoming>,
        sni: Sni,
    ) -> Response<Body> {
        let mut record = connection.record_request(&connection.egress.live.snapshot(), &request);
        if let Err(denial) = check_names(&connection.peer, &request, sni.as_deref()) {
            return connection.respond_unsent(ServeError::Denied(denial), record, request).await;
        }
        record.audit.verdict = Outcome::Allow;
        record.redact();
        if request.uri().path() != "/mcp" {
            return connection.respond_page(explain(request.method(), request.uri().path()), record, request).await;
        }
        let response = self.answer(request).await;
        record.audit.status = Some(response.status().as_u16());
        response
    }

    /// The answer to a message.
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let message = match timeout(GREETING_TIMEOUT, Limited::new(body, MAX_MESSAGE_BYTES).collect()).await {
            Ok(Ok(message)) => message.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                let text = format!("a message is larger than {MAX_MESSAGE_BYTES} bytes\n");
                return marked(page(StatusCode::PAYLOAD_TOO_LARGE, PLAIN, text), "supervise");
            }
            Ok(Err(_)) | Err(_) => {
                let text = "the message did not come as a whole\n".to_owned();
                return marked(page(StatusCode::REQUEST_TIMEOUT, PLAIN, text), "supervise");
            }
        };
        let response = self.0.handle(Request::from_parts(head, Full::new(message))).await;
        marked(response.map(Body::Own), "supervise")
    }
}

/// The answer to what is no message.
fn explain(method: &Method, path: &str) -> Response<Body> {
    let response = match (method, path) {
        (&Method::GET | &Method::HEAD, "/") => {
            let text = format!(
                "claude-bottle: an MCP server (streamable HTTP) is at {MCP_URL}\n\
                 Its tools ask the operator of this bottle for what is refused. What is allowed: http://gate.bottle/\n"
            );
            page(StatusCode::OK, PLAIN, text)
        }
        (_, "/") => get_only(),
        _ => page(StatusCode::NOT_FOUND, PLAIN, "there is /mcp, and / which explains it\n".to_owned()),
    };
    marked(response, "supervise")
}
