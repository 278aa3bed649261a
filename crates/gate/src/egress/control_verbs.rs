//! The verbs of the control socket that egress answers: `status`, `due`, `reload` and `token`.

use crate::control::server::Verbs;
use crate::egress::Egress;
use policy::Route;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use wire::{DueTokens, FreshToken, Reload};

pub fn register(verbs: &mut Verbs, egress: &Arc<Egress>) {
    let this = egress.clone();
    verbs.add("status", move |_| Ok(status(&this)));
    let this = egress.clone();
    verbs.add("due", move |_| Ok(json!(DueTokens { due: this.live.due() })));
    let this = egress.clone();
    verbs.add("reload", move |body| match Reload::deserialize(body) {
        Ok(reload) => this.reload(reload),
        Err(_) => Err(this.live.unchanged(invalid_part(body))),
    });
    let this = egress.clone();
    verbs.add_named("token", move |name, body| match FreshToken::deserialize(body) {
        Ok(FreshToken { value }) => this.live.renew(name, &value.0),
        Err(_) => Err(this.live.unchanged(format!("what came for `{name}` is no `value` in base64"))),
    });
}

/// For the operator alone: it shows where in the manifest a route stands.
///
/// - `routes`: in the order of the policy; `hits` and `denied` continue after a reload that keeps the route.
/// - `generation`: how often the policy was replaced.
/// - `tokens`: those that a command prints, by name.
/// - `secrets`: the names of all secrets, and who has them.
/// - `unmatched`: the secrets that requests are not scanned for, and why.
/// - `memory`: in bytes.
fn status(egress: &Egress) -> Value {
    let snapshot = egress.live.snapshot();
    let routes: Vec<_> = snapshot
        .policy
        .routes
        .iter()
        .enumerate()
        .map(|(index, route)| {
            json!({
                "host": route.host,
                "port": route.port,
                "methods": route.methods,
                "paths": route.paths,
                "protocol": route.protocol,
                "deny": route.deny,
                "private": route.private,
                "intercept": route.intercept,
                "role": route.role,
                "git": route.git,
                "auth": route.auth.is_some(),
                "origin": route.origin,
                "hits": snapshot.counts(index).hits(),
                "denied": snapshot.counts(index).denied(),
            })
        })
        .collect();
    let secrets = snapshot.secrets().iter().map(|secret| json!({ "value": secret.name, "class": secret.exposure }));
    let secrets: Vec<_> = secrets.collect();
    let unmatched = &snapshot.knowledge().vault.unfit;
    let unmatched: Vec<_> = unmatched.iter().map(|(value, why)| json!({ "value": value, "why": why })).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "identity": snapshot.identity,
        "bottle": snapshot.bottle,
        "uptime": egress.started.elapsed().as_secs(),
        "generation": snapshot.generation,
        "routes": routes,
        "tokens": egress.live.tokens(),
        "secrets": secrets,
        "unmatched": unmatched,
        "counters": egress.trail.counters.to_json(&egress.trail.events),
        "memory": resident_memory(),
    })
}

/// Resident bytes of this process, as the kernel counts them.
fn resident_memory() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten()?;
    Some(pages * u64::try_from(size).ok()?)
}

/// Says which part of a reload is invalid. Only its position is named: an error of serde quotes what it found, which may
/// be a secret in the wrong place.
pub fn invalid_part(body: &Value) -> String {
    let Some(routes) = body["policy"]["routes"].as_array() else {
        return "there is no `policy` with `routes`".to_owned();
    };
    match routes.iter().position(|route| Route::deserialize(route).is_err()) {
        Some(index) => format!("route {} of the policy is not valid", index + 1),
        None => "there is more than `policy`, `printed` and `values`, or one of them is not valid".to_owned(),
    }
}
