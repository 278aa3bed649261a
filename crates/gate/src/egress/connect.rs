//! One connection of the agent to an upstream: by its route it passes untouched, or each of its requests is judged.

use crate::egress::live::allowed::MatchedRoute;
use crate::egress::passthrough;
use crate::egress::request::conversation::Conversation;
use crate::egress::request::serve::AgentConnection;
use policy::{Policy, Protocol, Reads};
use std::sync::Arc;
use tokio::net::UnixStream;

/// Serves the connection until it ends.
pub async fn connect(connection: Arc<AgentConnection>, stream: UnixStream) {
    let egress = &connection.egress;
    let (snapshot, peer) = (egress.live.snapshot(), &connection.peer);
    match snapshot.policy.route_for(&peer.host, peer.port) {
        Ok(index) if snapshot.route(index).reads() == Reads::Nothing => {
            let route = MatchedRoute { snapshot, index };
            return passthrough::tcp(egress, connection.record_by(&route.snapshot), stream, route).await;
        }
        Ok(index) if snapshot.route(index).reads() == Reads::Names => {
            let route = MatchedRoute { snapshot, index };
            return passthrough::tls(egress, connection.record_by(&route.snapshot), stream, route).await;
        }
        // A client that speaks neither TLS nor HTTP would wait for a page that it cannot read.
        Err(denial) if !expects_http(&snapshot.policy, peer.port) => {
            return connection.record_by(&snapshot).denied(&denial);
        }
        Ok(_) | Err(_) => {}
    }
    drop(snapshot);
    Conversation::serve(connection, stream).await;
}

fn expects_http(policy: &Policy, port: u16) -> bool {
    let mut routes = policy.routes.iter();
    matches!(port, 80 | 443) || routes.any(|route| route.port == port && route.protocol == Protocol::Http)
}
