//! What a route added by hand changes, for policies and requests made at random: the refused request passes, and nothing else
//! does but what the route itself says. `PROPTEST_CASES=1000000` asks for more than the few hundred cases of an ordinary run.

#![allow(clippy::panic, clippy::unwrap_used)]

use policy::{Addition, Dlp, Effect, Policy, Request, Route, diff};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use testing::requests::route;

const HOSTS: [&str; 4] = ["a.test.org", "b.test.org", "*.test.org", "other.org"];
const NAMES: [&str; 4] = ["a", "b", "c", "sample"];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "OTHER"];

/// A failure shows its smallest case; nothing is written into the repository.
fn cases() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop_oneof![3 => select(NAMES.to_vec()), 1 => Just("*")];
    (vec(segment, 0..4), any::<bool>()).prop_map(|(mut segments, rest)| {
        if rest {
            segments.push("**");
        }
        format!("/{}", segments.join("/"))
    })
}

fn any_route() -> impl Strategy<Value = Route> {
    let kind = select(vec![
        json!({}),
        json!({ "deny": true }),
        json!({ "dlp": "off" }),
        json!({ "agent_auth": true }),
        json!({ "auth": { "scheme": "bearer", "token": "t" } }),
        json!({ "inspect_responses": "block" }),
        json!({ "query": { "q": "a*" } }),
    ]);
    let methods = vec(select(METHODS[..3].to_vec()), 1..3);
    (select(HOSTS.to_vec()), vec(pattern(), 1..3), methods, kind, 0..9u32).prop_map(
        |(host, paths, methods, mut value, line)| {
            value["host"] = json!(host);
            value["paths"] = json!(paths);
            value["methods"] = json!(methods);
            value["origin"] = json!(format!("m:{line}"));
            if host == "other.org" {
                value["private"] = json!(true);
            }
            route(value)
        },
    )
}

fn any_policy() -> impl Strategy<Value = Policy> {
    vec(any_route(), 0..6).prop_map(|routes| Policy { routes })
}

/// Host, method and path.
fn any_request() -> impl Strategy<Value = (&'static str, &'static str, String)> {
    let hosts = vec!["a.test.org", "b.test.org", "c.test.org", "other.org", "new.org"];
    let path = vec(select(NAMES.to_vec()), 0..5).prop_map(|names| format!("/{}", names.join("/")));
    (select(hosts), select(METHODS.to_vec()), path)
}

fn request<'a>((host, method, path): &'a (&'a str, &'a str, String)) -> Request<'a> {
    Request { host, port: 443, method, path, query: None, has_body: false, headers: &[] }
}

/// How a request is treated; `None`: it is refused.
fn treatment(policy: &Policy, request: &Request) -> Option<Route> {
    let pass = policy.judge_typed(request).ok()?;
    let route = policy.routes[pass.route].clone();
    Some(Route { origin: String::new(), methods: Vec::new(), paths: Vec::new(), ..route })
}

fn alone(addition: &Addition) -> Policy {
    Policy { routes: vec![addition.route.clone()] }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_refused_request_passes_and_nothing_else_but_what_the_route_says(
        policy in any_policy(),
        refused in any_request(),
        others in vec(any_request(), 8),
    ) {
        let wanted = request(&refused);
        if policy.judge_typed(&wanted).is_ok() {
            return Ok(());
        }
        let Ok(addition) = policy.least(&wanted, None) else {
            // Only routes that disagree, or that deny with keys of their own, make it impossible.
            let here: Vec<&Route> = policy.routes.iter().filter(|route| route.host.matches(wanted.host)).collect();
            prop_assert!(here.iter().any(|route| route.deny), "{policy:?}");
            return Ok(());
        };
        let all = std::iter::once((None, addition.clone()))
            .chain(addition.widened().into_iter().map(|(step, wider)| (Some(step), wider)));
        for (step, addition) in all {
            let amended = policy.with(&addition).unwrap();
            prop_assert!(step.is_some() || amended.judge_typed(&wanted).is_ok());
            for other in &others {
                let other = request(other);
                let (before, after) = (treatment(&policy, &other), treatment(&amended, &other));
                if before != after {
                    prop_assert!(alone(&addition).judge_typed(&other).is_ok(), "{other:?} by {addition:?}");
                }
                if step.is_none() && before != after {
                    prop_assert_eq!((other.host, other.method, other.path), (wanted.host, wanted.method, wanted.path));
                }
                // What passed before passes as before.
                prop_assert!(before.is_none() || before == after, "{other:?}");
            }
        }
    }

    #[test]
    fn a_least_route_lowers_nothing(policy in any_policy(), refused in any_request()) {
        let wanted = request(&refused);
        let Ok(Addition { route, .. }) = policy.least(&wanted, None) else { return Ok(()) };
        prop_assert!(route.dlp == Dlp::Block && !route.agent_auth && route.auth.is_none() && route.intercept);
        prop_assert_eq!(route.protocol, policy::Protocol::Http);
        let allows = |other: &&Route| !other.deny && other.port == route.port && other.host.matches(wanted.host);
        prop_assert_eq!(route.private, policy.routes.iter().filter(allows).any(|other| other.private));
    }

    /// A request that is treated otherwise stands in the difference, as far as two patterns cut it out.
    #[test]
    fn a_difference_is_empty_only_where_nothing_differs(
        policy in any_policy(),
        added in any_route(),
        requests in vec(any_request(), 8),
    ) {
        let plain = |route: &Route| Route { query: Default::default(), deny: false, ..route.clone() };
        let (added, policy) = (plain(&added), Policy { routes: policy.routes.iter().map(plain).collect() });
        let Ok(amended) = policy.with(&Addition { route: added, position: Default::default() }) else { return Ok(()) };
        let found = diff(&policy, &amended);
        prop_assert!(!found.is_partial);
        prop_assert_eq!(diff(&policy, &policy).lines, vec![]);
        if let Some(other) = requests.iter().map(request).find(|other| treatment(&policy, other) != treatment(&amended, other)) {
            let is_shown = found.lines.iter().any(|line| line.host.matches(other.host) && line.before == Effect::Refused);
            prop_assert!(is_shown, "{other:?}: {:?}", found.lines);
        }
    }
}
