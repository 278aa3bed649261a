//! A connection of the agent to an upstream whose requests are judged one by one.

use crate::audit::record::AuditRecord;
use crate::egress::as_judged::{fields, has_body, judged, names};
use crate::egress::inspect::leaks;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::request::body::Body;
use crate::egress::request::serve::{AgentConnection, Sni, serve};
use crate::egress::serve_error::ServeError;
use crate::egress::upstream::pool::Upstream;
use hyper::body::Incoming;
use hyper::{Request, Response};
use policy::judge::{Judge, Seen, Step};
use std::sync::Arc;
use tokio::net::UnixStream;

/// A connection of the agent, and the connections to the upstream that its requests are sent on.
pub struct Conversation {
    pub connection: Arc<AgentConnection>,
    pub upstream: Upstream,
}

impl Conversation {
    pub async fn serve(connection: Arc<AgentConnection>, stream: UnixStream) {
        let upstream = Upstream::new(connection.egress.connector.clone());
        let conversation = Arc::new(Conversation { connection: connection.clone(), upstream });
        serve(connection, stream, move |request, sni| conversation.clone().respond(request, sni)).await;
    }

    /// The answer to one request: the upstream's, or a page that says why there is none.
    async fn respond(self: Arc<Self>, request: Request<Incoming>, sni: Sni) -> Response<Body> {
        let snapshot = self.connection.egress.live.snapshot();
        let mut record = self.connection.record_request(&snapshot, &request);
        let mut judged = self.judge(snapshot, &request, sni.as_deref(), &mut record).await;
        if let Err(ServeError::Denied(denial)) = judged {
            judged = self.reconsider(denial, &request, sni.as_deref(), &mut record).await;
        }
        match judged {
            Ok(allowed) => {
                record.allowed(allowed.route);
                self.forward(request, &allowed, record).await
            }
            Err(error) => self.connection.respond_unsent(error, record, request).await,
        }
    }

    /// The whole decision about one request. The order of questions is the policy's; between its steps this does what only
    /// the gate can: look for secrets in a name, and resolve it.
    pub(super) async fn judge(
        &self,
        snapshot: Arc<PolicySnapshot>,
        request: &Request<Incoming>,
        sni: Option<&str>,
        record: &mut AuditRecord,
    ) -> Result<AllowedRequest, ServeError> {
        record.set_scope(&snapshot.audit_scope);
        let fields = fields(request.headers());
        let judged = judged(&self.connection.peer, request, has_body(request.body()), &fields);
        let seen = Seen::Http { request: judged, names: names(request, sni) };
        let mut judge = Judge::new(&snapshot.policy, seen, snapshot.via());
        let pass = loop {
            match judge.advance().map_err(ServeError::Denied)? {
                Step::InspectName { route } => leaks::inspect_host(&snapshot, route, record)
                    .map_err(|denial| ServeError::Denied(denial.or_route(route)))?,
                Step::Locate { route, destination } => {
                    let located = self.upstream.locate(&snapshot, &destination).await;
                    located.map_err(|error| error.or_route(route))?;
                }
                Step::Pass(pass) => break pass,
            }
        };
        record.set_path(&pass.path);
        let live = &self.connection.egress.live;
        live.with_valid_token(AllowedRequest::new(snapshot, pass)).await.map_err(ServeError::Denied)
    }
}
