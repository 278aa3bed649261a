//! What a person names by an id: in one session, or in the only one that has it.

use super::SupervisedSession;
use crate::exit::UserError;
use crate::hint;
use crate::manifest::Route;
use crate::plan::{self, Approval, ChangeRequest};
use crate::session::audit;
use crate::state::Home;
use crate::text::one_line;
use crate::trail::Trail;
use anyhow::Result;
use wire::{Change, Packages};

/// Something that can be decided now.
pub struct Decidable {
    pub session: SupervisedSession,
    pub change: Change,
    /// The agent's words, where it asked.
    pub words: Option<String>,
    /// How often it was refused.
    pub refused: u64,
    /// The path of one of the requests, where there are several.
    pub example: Option<String>,
}

impl SupervisedSession {
    /// What this session's trail adds up to.
    ///
    /// # Errors
    /// The disk's; the engine's, where the trail is not whole on disk.
    pub fn trail(&self) -> Result<Trail> {
        audit::read(&self.folder, &self.plan)
    }

    fn decidable(self, change: Change, trail: &Trail) -> Decidable {
        let words = trail.pending.get(&change).map(|proposal| proposal.reason.clone());
        let candidate = trail.candidates().into_iter().find(|candidate| candidate.change == change);
        let refused = candidate.as_ref().map_or(0, |candidate| candidate.count);
        let example = candidate.and_then(|candidate| candidate.example.path);
        Decidable { session: self, change, words, refused, example }
    }
}

impl Decidable {
    /// Finds what `IDENTITY/ID`, or an id alone, names.
    ///
    /// # Errors
    /// `UserError` where nothing or more than one thing has this id.
    pub fn find(home: &Home, typed: &str) -> Result<Decidable> {
        let (identity, id) = match typed.rsplit_once('/') {
            Some((identity, id)) => (Some(identity), id),
            None => (None, typed),
        };
        let sessions = match identity {
            Some(identity) => vec![SupervisedSession::open(home, Some(identity))?],
            None => {
                let folders = home.folders();
                folders.iter().filter_map(|folder| SupervisedSession::open(home, Some(&folder.identity)).ok()).collect()
            }
        };
        let (mut found, mut approved) = (Vec::new(), None);
        for session in sessions {
            approved = session.routes.find(id).cloned().or(approved);
            let trail = match session.trail() {
                Ok(trail) => trail,
                Err(error) if identity.is_some() => return Err(error),
                // The id may be of a session whose engine answers.
                Err(_) => continue,
            };
            match trail.with_id(id).as_slice() {
                [] => {}
                [change] if !trail.is_ambiguous(id) => found.push(session.decidable(change.clone(), &trail)),
                _ => {
                    let what = format!("two things in `{}` have the id `{}`", session.folder.identity, one_line(id));
                    return Err(UserError::new(what)
                        .hint(hint!("`claude-bottle routes add {} …` says which is meant", session.folder.identity))
                        .into());
                }
            }
        }
        if found.len() > 1 {
            let all: Vec<String> = found.iter().map(|one| format!("{}/{id}", one.session.folder.identity)).collect();
            let what = format!("`{}` is of more than one session", one_line(id));
            return Err(UserError::new(what).hint(hint::Hint::one_of(all.iter().map(String::as_str))).into());
        }
        found.pop().ok_or_else(|| {
            if let Some(route) = approved {
                let what = format!("`{}` was approved already, at {} by {}", route.id, route.at, one_line(&route.by));
                return UserError::new(what).hint("`claude-bottle routes list IDENTITY` shows it").into();
            }
            let what = format!("nothing with the id `{}` waits for a decision", one_line(id));
            UserError::new(what).hint("`claude-bottle proposals` shows what does").into()
        })
    }

    /// What approving it would do.
    ///
    /// # Errors
    /// Those of [`Approval::least`].
    pub fn approval(&self) -> Result<Approval, UserError> {
        // An approval that was cut off left its route on disk, and is done again as it was.
        match self.session.routes.of_change(&self.change) {
            Some(route) => Approval::again(&self.session.plan, self.request(), route),
            None => Approval::least(&self.session.plan, self.request()),
        }
    }

    /// The approval by this route of the operator's.
    ///
    /// # Errors
    /// Those of [`Approval::by`].
    pub fn approval_by(&self, route: &Route) -> Result<Approval, UserError> {
        Approval::by(&self.session.plan, self.request(), route)
    }

    /// The Dockerfile of the session, with these packages as well.
    ///
    /// # Errors
    /// `UserError` where the list, which came out of the bottle, has anything but names.
    pub fn dockerfile_with(&self, packages: &Packages) -> Result<String, UserError> {
        packages.check().map_err(UserError::new)?;
        Ok(plan::with_packages(self.session.dockerfile.as_deref(), packages))
    }

    pub fn request(&self) -> ChangeRequest<'_> {
        ChangeRequest { change: &self.change, example: self.example.as_deref() }
    }
}
