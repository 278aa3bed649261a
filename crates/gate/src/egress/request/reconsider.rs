//! A request that was denied and that the operator can let pass: it is judged once more by what was allowed for one request,
//! and where requests are held, again at each decision. Its body is not read meanwhile.

use crate::audit::record::AuditRecord;
use crate::audit::redaction::holds_secret;
use crate::egress::as_judged::{fields, has_body, judged};
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::live::snapshot::PolicySnapshot;
use crate::egress::request::askable::change_for;
use crate::egress::request::conversation::Conversation;
use crate::egress::serve_error::ServeError;
use hyper::Request;
use hyper::body::Incoming;
use policy::{Denial, UrlScheme};
use tokio::time::{Instant, sleep_until};
use wire::Change;

/// Stands in the record of a held request that ends without an answer.
const AGENT_LEFT: &str = "the agent went away while the request was held";

impl Conversation {
    /// The last word about a request that was denied.
    pub async fn reconsider(
        &self,
        mut denial: Denial,
        request: &Request<Incoming>,
        sni: Option<&str>,
        record: &mut AuditRecord,
    ) -> Result<AllowedRequest, ServeError> {
        let (live, proposals) = (&self.connection.egress.live, &self.connection.egress.proposals);
        let is_possible = denial.reason.has_remedy() && (!live.once.is_empty() || proposals.is_enabled());
        let Some(change) = is_possible.then(|| self.proposable_change(request)).flatten() else {
            return Err(ServeError::Denied(denial));
        };
        if let Some(words) = proposals.rejection(&change) {
            return Err(rejected(denial, &words));
        }
        // Nothing that could let it pass has changed since it was judged.
        if live.once.is_empty() && !proposals.may_hold() {
            return Err(ServeError::Denied(denial));
        }
        let mut hold = None;
        loop {
            let (reloaded, decided) = (live.changed(), proposals.decided());
            for snapshot in live.once.find(&change) {
                let allowed = self.judge(snapshot.clone(), request, sni, record).await;
                if allowed.is_ok() && live.once.take(&snapshot) {
                    return allowed;
                }
            }
            let snapshot = live.snapshot();
            denial = match self.judge(snapshot, request, sni, record).await {
                Err(ServeError::Denied(denial)) => denial,
                ended => return ended,
            };
            if let Some(words) = proposals.rejection(&change) {
                return Err(rejected(denial, &words));
            }
            // It is proposed only now: what was allowed once needs no second answer.
            if hold.is_none() && denial.reason.has_remedy() {
                hold = proposals.hold(&change).map(|hold| (Instant::now() + hold.timeout, hold));
            }
            let Some((deadline, _)) = hold.as_ref().filter(|_| denial.reason.has_remedy()) else {
                return Err(ServeError::Denied(denial));
            };
            record.audit.reason = Some(AGENT_LEFT.to_owned());
            let is_over = tokio::select! {
                () = reloaded => false,
                () = decided => false,
                () = sleep_until(*deadline) => true,
                () = proposals.left_alone() => true,
            };
            record.audit.reason = None;
            if is_over {
                return Err(ServeError::Denied(denial));
            }
        }
    }

    /// The change that lets this request pass. `None`: there is none, or its text holds a secret.
    fn proposable_change(&self, request: &Request<Incoming>) -> Option<Change> {
        let fields = fields(request.headers());
        let request = judged(&self.connection.peer, request, has_body(request.body()), &fields);
        let change = change_for(&request, UrlScheme::of_port(request.port)).ok()?;
        (!shows_secret(&change, &self.connection.egress.live.snapshot())).then_some(change)
    }
}

/// Whether the change cannot stand in the audit trail.
pub fn shows_secret(change: &Change, snapshot: &PolicySnapshot) -> bool {
    let texts: Vec<&str> = match change {
        Change::Egress { host, method, path, .. } => vec![host, method, path],
        Change::Packages(packages) => {
            packages.lists().into_iter().flat_map(|(_, names)| names).map(String::as_str).collect()
        }
        Change::Git { remote, .. } => vec![remote],
    };
    texts.into_iter().any(|text| holds_secret(snapshot.knowledge(), text))
}

fn rejected(denial: Denial, words: &str) -> ServeError {
    let words = if words.is_empty() { String::new() } else { format!(": {words}") };
    let text = format!("{}, and the operator does not allow it{words}", denial.text);
    ServeError::Denied(Denial { text, ..denial })
}
