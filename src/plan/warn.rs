//! What a person should look at twice before saying yes. Follows from the plan, and is no part of it.

use super::{Plan, Source};
use policy::risks;

/// A route by its place, and what it makes possible, in the order of the routes.
pub fn warnings(plan: &Plan) -> Vec<(String, String)> {
    let routes = plan.policy.routes.iter();
    let mut found: Vec<(String, String)> = routes
        .flat_map(|route| {
            let given = seen(plan, route.auth.as_ref().map(|auth| auth.token.as_str()));
            risks(route).into_iter().chain(given).map(|risk| (route.place(), risk))
        })
        .collect();
    let mut told = Vec::new();
    found.retain(|one| {
        !told.contains(one) && {
            told.push(one.clone());
            true
        }
    });
    found
}

/// A token that the gate adds, and the agent is given all the same.
fn seen(plan: &Plan, token: Option<&str>) -> Vec<String> {
    let Some(source @ Source::Env(host)) = token.and_then(|token| plan.values.get(token)) else { return Vec::new() };
    let given = plan.go.env.iter().filter_map(|(name, value)| match value {
        wire::Source::Value(value) if plan.values.get(value) == Some(source) => Some(name),
        _ => None,
    });
    given.map(|name| format!("its token is the host's {host}, which the agent is given as {name}")).collect()
}
