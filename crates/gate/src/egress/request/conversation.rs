//! A connection of the agent to an upstream whose requests are judged one by one.

use crate::egress::request::body::Body;
use crate::egress::request::judge::{ReceivedRequest, judge};
use crate::egress::request::serve::{AgentConnection, Sni, serve};
use crate::egress::upstream::pool::Upstream;
use hyper::body::Incoming;
use hyper::{Request, Response};
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
        let received = ReceivedRequest { request: &request, sni: sni.as_deref() };
        match judge(&self, snapshot, received, &mut record).await {
            Ok(allowed) => {
                record.allowed(allowed.route);
                self.forward(request, &allowed, record).await
            }
            Err(trouble) => self.connection.respond_unsent(trouble, record, request).await,
        }
    }
}
