//! The routes of a whole bottle: what must hold among them, and the names of the values that they use.

use super::block::error_at;
use super::json::Position;
use super::route::RouteDraft;
use super::{Route, Token};
use crate::exit::UserError;
use crate::hint;
use policy::Auth;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Completes the routes of a bottle, in order of precedence.
///
/// # Errors
/// `UserError` for two routes that can match one request and differ in what acts before its path is known, and for a
/// second host with `role: "claude"`.
pub fn complete(file: &Path, drafts: Vec<RouteDraft>) -> Result<Vec<Route>, UserError> {
    let drafts = without_hidden_roles(file, drafts)?;
    let positions: Vec<Position> = drafts.iter().map(|draft| draft.at).collect();
    let mut completion = Completion::default();
    let routes: Vec<Route> = drafts.into_iter().map(|draft| completion.complete(draft)).collect();
    for (n, later) in routes.iter().enumerate() {
        for (first, position) in routes[..n].iter().zip(&positions) {
            if let Some(key) = first.policy.conflicting_key(&later.policy) {
                let what = format!(
                    "`{key}` differs from the route in line {}: both can match {}:{}, and it acts before the path is known",
                    position.line,
                    later.policy.host.as_str(),
                    later.policy.port
                );
                let error = error_at(file, positions[n].line, what);
                return Err(error.hint(hint!("give both routes the same `{}`", key)));
            }
            if let (Some(before), Some(after)) = (&first.placeholder, &later.placeholder)
                && before.variable == after.variable
                && before.value != after.value
            {
                let what = format!(
                    "variable `{}`: another `placeholder` than of the route in line {}",
                    after.variable, position.line
                );
                return Err(error_at(file, positions[n].line, what).hint("one variable holds one placeholder"));
            }
        }
    }
    Ok(routes)
}

/// A child's `role: "claude"` replaces its parent's for the same host. For two hosts there is but one placeholder, which
/// is an error.
fn without_hidden_roles(file: &Path, drafts: Vec<RouteDraft>) -> Result<Vec<RouteDraft>, UserError> {
    let mut kept: Vec<RouteDraft> = Vec::new();
    for draft in drafts {
        match kept.iter().find(|first| first.role.is_some() && draft.role.is_some()) {
            Some(first) if first.host == draft.host && first.port == draft.port => {}
            Some(first) => {
                let what = format!(
                    "a second host with `role: \"claude\"`, beside the one in line {}: Claude Code has one",
                    first.at.line
                );
                return Err(error_at(file, draft.at.line, what));
            }
            None => kept.push(draft),
        }
    }
    Ok(kept)
}

/// What the routes of one bottle share.
#[derive(Default)]
struct Completion {
    /// Commands of `token_cmd`.
    commands: Numbering<Vec<String>>,
    /// Files of `upstream_ca`.
    files: Numbering<PathBuf>,
}

impl Completion {
    fn complete(&mut self, draft: RouteDraft) -> Route {
        let (auth, token, placeholder) = match draft.credential {
            Some(credential) => {
                let name = self.token_name(&credential.token);
                let auth = Auth { scheme: credential.scheme, token: name };
                (Some(auth), Some(credential.token), credential.placeholder)
            }
            None => (None, None, None),
        };
        let policy = policy::Route {
            host: draft.host,
            port: draft.port,
            methods: draft.methods,
            paths: draft.paths,
            origin: draft.origin,
            deny: draft.deny,
            private: draft.private,
            proxy: draft.proxy,
            connect_to: draft.connect_to,
            upstream_ca: draft.upstream_ca.as_ref().map(|path| format!("ca:{}", self.files.number(path))),
            auth,
            agent_auth: draft.agent_auth,
            intercept: draft.intercept,
            protocol: draft.protocol,
            git: draft.git,
            role: draft.role,
            dlp: draft.dlp,
            server_tools: draft.server_tools,
            query: draft.query,
            headers: draft.headers,
            inspect_responses: draft.inspect_responses,
            bodies: draft.bodies,
            ranges: draft.ranges,
        };
        Route { policy, token, upstream_ca: draft.upstream_ca, placeholder }
    }

    fn token_name(&mut self, token: &Token) -> String {
        match token {
            Token::Env(name) => format!("token:env:{name}"),
            Token::Cmd(command) => format!("token:cmd:{}", self.commands.number(command)),
        }
    }
}

/// Numbers from 1 in the order of first use; equal things share one.
struct Numbering<T>(BTreeMap<T, usize>);

impl<T> Default for Numbering<T> {
    fn default() -> Self {
        Numbering(BTreeMap::new())
    }
}

impl<T: Ord + Clone> Numbering<T> {
    fn number(&mut self, of: &T) -> usize {
        let next = self.0.len() + 1;
        *self.0.entry(of.clone()).or_insert(next)
    }
}
