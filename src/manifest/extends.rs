//! What a bottle inherits by `extends`, and the complete bottle that results.
//!
//! The nearer bottle wins: the bottle itself, then its parents from left to right, each with its own parents. Lists are
//! joined in that order.

use super::block::error_at;
use super::bottle::BottleDraft;
use super::json::excerpt;
use super::{Bottle, GitUser, Image, git, routes};
use crate::exit::UserError;
use crate::hint;
use std::collections::BTreeMap;
use std::path::Path;

/// Bottles in one chain of `extends`.
const MAX_CHAIN: usize = 32;

/// Bottles by name, as they were read.
pub type BottleDrafts = BTreeMap<String, Result<BottleDraft, UserError>>;

/// A complete bottle, and what counts only when an agent is chosen for it.
#[derive(Debug)]
pub struct CompleteBottle {
    pub bottle: Bottle,
    pub user: Option<GitUser>,
    /// Line of `"cwd_agents": false`: agents of a directory may not use this bottle.
    pub home_agents_only: Option<u32>,
}

/// Completes every bottle; one that is wrong does not stop another.
pub fn complete_all(file: &Path, drafts: &BottleDrafts) -> BTreeMap<String, Result<CompleteBottle, UserError>> {
    let mut heirs = Heirs { file, drafts, done: BTreeMap::new() };
    let mut bottles = BTreeMap::new();
    for name in drafts.keys() {
        let heir = heirs.inherited(name, &mut Vec::new());
        bottles.insert(name.clone(), heir.and_then(|heir| complete(file, name, heir)));
    }
    bottles
}

/// A bottle joined with those that it extends.
#[derive(Debug, Clone)]
struct Heir {
    draft: BottleDraft,
    /// Names of the bottles that it inherited from, nearest first.
    ancestors: Vec<String>,
}

struct Heirs<'a> {
    file: &'a Path,
    drafts: &'a BottleDrafts,
    /// Each bottle is joined once, however many extend it.
    done: BTreeMap<String, Result<Heir, UserError>>,
}

impl<'a> Heirs<'a> {
    /// The bottle `name` with all that it inherits. `chain`: the bottles whose `extends` led here.
    fn inherited(&mut self, name: &'a str, chain: &mut Vec<&'a str>) -> Result<Heir, UserError> {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let drafts = self.drafts;
        let Some(draft) = drafts.get(name) else {
            return Err(UserError::new(format!("no bottle `{}`", excerpt(name))));
        };
        let draft = draft.as_ref().map_err(Clone::clone)?.clone();
        chain.push(name);
        let heir = self.with_parents(draft, chain);
        chain.pop();
        self.done.insert(name.into(), heir.clone());
        heir
    }

    fn with_parents(&mut self, mut draft: BottleDraft, chain: &mut Vec<&'a str>) -> Result<Heir, UserError> {
        let extends = std::mem::take(&mut draft.extends);
        let mut heir = Heir { draft, ancestors: Vec::new() };
        for (line, parent) in extends {
            let shown = |end: &str| {
                let names: Vec<String> =
                    chain.iter().copied().chain([end]).map(|n| format!("`{}`", excerpt(n))).collect();
                names.join(" → ")
            };
            let Some((parent, _)) = self.drafts.get_key_value(&parent) else {
                let what = format!("`extends` names no bottle: {}", shown(&parent));
                let others = self.drafts.keys().map(String::as_str).filter(|name| !chain.contains(name));
                return Err(error_at(self.file, line, what).meant(&parent, others));
            };
            if chain.contains(&parent.as_str()) {
                return Err(error_at(self.file, line, format_args!("`extends` goes round: {}", shown(parent))));
            }
            if chain.len() == MAX_CHAIN {
                return Err(error_at(
                    self.file,
                    line,
                    format_args!("more than {MAX_CHAIN} bottles extend one another"),
                ));
            }
            let inherited = self.inherited(parent, chain)?;
            heir.add_ancestor(parent.clone());
            heir.inherit(inherited);
        }
        Ok(heir)
    }
}

impl Heir {
    fn add_ancestor(&mut self, name: String) {
        if !self.ancestors.contains(&name) {
            self.ancestors.push(name);
        }
    }

    /// Takes from `parent` what this bottle does not state itself.
    fn inherit(&mut self, parent: Heir) {
        parent.ancestors.into_iter().for_each(|name| self.add_ancestor(name));
        let (mine, parent) = (&mut self.draft, parent.draft);
        mine.image = mine.image.take().or(parent.image);
        for (name, value) in parent.env {
            mine.env.entry(name).or_insert(value);
        }
        for route in parent.routes {
            // Two parents may share a parent: its routes count once. One file, so a position tells them apart.
            if !mine.routes.iter().any(|known| known.at == route.at) {
                mine.routes.push(route);
            }
        }
        mine.user = mine.user.take().or(parent.user);
        mine.cwd_user = mine.cwd_user.or(parent.cwd_user);
        for remote in parent.remotes {
            // As with routes: two parents may share a parent.
            if !mine.remotes.contains(&remote) {
                mine.remotes.push(remote);
            }
        }
        mine.signing_key = mine.signing_key.take().or(parent.signing_key);
        mine.supervise = mine.supervise.or(parent.supervise);
        mine.limits = mine.limits.or(parent.limits);
        mine.on_hangup = mine.on_hangup.or(parent.on_hangup);
        mine.seccomp = mine.seccomp.or(parent.seccomp);
        mine.cwd_agents = mine.cwd_agents.or(parent.cwd_agents);
    }
}

/// Fills in the defaults, and checks what concerns the bottle as a whole.
fn complete(file: &Path, name: &str, heir: Heir) -> Result<CompleteBottle, UserError> {
    let Heir { draft, ancestors } = heir;
    git::check_remotes(file, &draft.remotes)?;
    let routes = routes::complete(file, draft.routes)?;
    let placeholders = routes.iter().filter_map(|route| route.placeholder.as_ref());
    let mut variables = placeholders.map(|placeholder| &placeholder.variable);
    if let Some((name, (line, _))) = variables.find_map(|name| draft.env.get_key_value(name)) {
        let what = format!("variable `{name}`: holds the placeholder of a credential, the gate has the real value");
        return Err(error_at(file, *line, what).hint(hint!("leave `{}` out of `env`", name)));
    }
    let bottle = Bottle {
        name: name.into(),
        extends: ancestors,
        image: draft.image.unwrap_or(Image::Default),
        env: draft.env.into_iter().map(|(name, (_, value))| (name, value)).collect(),
        routes,
        remotes: draft.remotes.into_iter().map(|(_, remote)| remote).collect(),
        supervise: draft.supervise.flatten(),
        signing_key: draft.signing_key,
        cwd_user: draft.cwd_user.unwrap_or(true),
        limits: draft.limits.complete(),
        on_hangup: draft.on_hangup.unwrap_or_default(),
        seccomp: draft.seccomp.unwrap_or_default(),
    };
    Ok(CompleteBottle {
        bottle,
        user: draft.user,
        home_agents_only: draft.cwd_agents.filter(|(_, open)| !open).map(|(line, _)| line),
    })
}
