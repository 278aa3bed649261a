//! The verbs of the control socket by which an operator decides: `decide` and `watch`.

use crate::control::server::{Answer, Verbs};
use crate::egress::Egress;
use crate::egress::control_verbs::invalid_part;
use crate::git::service::GitService;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;
use wire::{Change, Decide, MAX_SUPERVISE_REASON_BYTES, Reload, Verdict};

pub fn register(verbs: &mut Verbs, egress: &Arc<Egress>, git: Option<Arc<GitService>>) {
    let this = egress.clone();
    verbs.add("decide", move |body| decide(&this, git.as_deref(), body));
    let this = egress.clone();
    verbs.add_stream("watch", move |lines| watch(this.clone(), lines));
}

/// Makes a change and takes the decision about it, or does neither. Decided twice, it is the same.
fn decide(egress: &Egress, git: Option<&GitService>, body: &Value) -> Answer {
    let unchanged = |reason: &str| Err(egress.live.unchanged(reason.to_owned()));
    let Decide { decision, reload } = read(body).map_err(|reason| egress.live.unchanged(reason))?;
    let (id, before) = (decision.change.id(), egress.live.snapshot());
    let mut answer = json!({ "decided": id });
    match (&decision.change, decision.verdict, reload) {
        (Change::Packages(_), Verdict::Approved | Verdict::Rejected, None) => {}
        // What was allowed once and was not used yet is not allowed any more.
        (change @ Change::Egress { .. }, Verdict::Rejected, None) => egress.live.once.remove(change),
        (Change::Git { remote, commits }, Verdict::Rejected, None) => {
            git.iter().for_each(|git| git.tools.commits.disallow(remote, commits));
        }
        (Change::Egress { .. }, Verdict::Approved, Some(reload)) => answer["reload"] = egress.live.reload(reload)?,
        (change @ Change::Egress { .. }, Verdict::Once, Some(reload)) => egress.live.allow_once(change, reload)?,
        (Change::Git { remote, commits }, Verdict::Approved | Verdict::Once, None) => {
            let Some(git) = git else { return unchanged("this bottle has no git remotes") };
            let allowed = git.tools.commits.allow_at(Some(remote), commits);
            allowed.map_err(|reason| egress.live.unchanged(reason))?;
        }
        (Change::Packages(_), Verdict::Once, None) => return unchanged("packages cannot be allowed once"),
        (_, _, None) => return unchanged("there is no `reload`, with the policy in which the request passes"),
        (_, _, Some(_)) => return unchanged("a `reload` belongs to the approval of a request alone"),
    }
    egress.proposals.decide(decision);
    egress.settle_proposals(&before);
    Ok(answer)
}

/// The error names only a position: an error of serde quotes what it found, which may be a secret in the wrong place.
fn read(body: &Value) -> Result<Decide, String> {
    let decide = Decide::deserialize(body).map_err(|_| match body.get("reload") {
        Some(reload) if !reload.is_null() && Reload::deserialize(reload).is_err() => invalid_part(reload),
        _ => "there is more than `decision` and `reload`, or `decision` has no valid `change` and `verdict`".to_owned(),
    })?;
    decide.decision.change.check()?;
    match decide.decision.reason.as_ref().is_some_and(|reason| reason.len() > MAX_SUPERVISE_REASON_BYTES) {
        true => Err(format!("the reason is longer than {MAX_SUPERVISE_REASON_BYTES} bytes")),
        false => Ok(decide),
    }
}

/// Sends how many proposals are pending, at first and at each change. While it runs, an operator is there.
async fn watch(egress: Arc<Egress>, lines: mpsc::Sender<Value>) {
    let mut pending = egress.proposals.watch();
    pending.mark_changed();
    let mut line = json!({ "watching": true });
    while lines.send(line).await.is_ok() && pending.changed().await.is_ok() {
        line = json!({ "pending": *pending.borrow_and_update() });
    }
}
