//! What the user should look at twice before saying yes. It follows from the plan, and is no part of it.

use super::{Plan, Source};
use policy::risks;

/// Each risk with the place of its route (`file:line`), in the order of the routes and without repeats.
pub fn warnings(plan: &Plan) -> Vec<(String, String)> {
    let routes = plan.policy.routes.iter();
    let mut found: Vec<(String, String)> = routes
        .flat_map(|route| {
            let given = exposed_token(plan, route.auth.as_ref().map(|auth| auth.token.as_str()));
            risks(route).into_iter().chain(given).map(|risk| (route.base_url(), risk))
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

/// Risks of a token that the gate adds and that the agent has as well: there is nothing left to protect.
fn exposed_token(plan: &Plan, token: Option<&str>) -> Vec<String> {
    let Some(source @ Source::Env(host)) = token.and_then(|token| plan.values.get(token)) else { return Vec::new() };
    let given = plan.go.env.iter().filter_map(|(name, value)| match value {
        wire::Source::Value(value) if plan.values.get(value) == Some(source) => Some(name),
        _ => None,
    });
    given.map(|name| format!("its token is the host's {host}, which the agent is given as {name}")).collect()
}
