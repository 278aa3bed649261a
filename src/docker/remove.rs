//! Removes what a session made on its engine. An object that does not exist counts as removed.

use super::errors::ignore_gone;
use super::{Call, Docker};
use crate::exit::{EngineError, EngineErrorKind};
use crate::plan::{Args, Plan, remove_container};

/// Removals under way, side by side.
pub struct Removal {
    calls: Vec<Result<Call, EngineError>>,
}

impl Removal {
    /// Waits for all of them.
    ///
    /// # Errors
    /// The last failure.
    pub fn finish(self) -> Result<(), EngineError> {
        last_failure(self.calls.into_iter().map(|call| ignore_gone(call.and_then(Call::finish))))
    }
}

impl Docker {
    /// Starts removals, each by the arguments of its call.
    pub fn begin_removal<'a>(&self, removals: impl IntoIterator<Item = &'a Args>) -> Removal {
        Removal { calls: removals.into_iter().map(|args| self.begin(args)).collect() }
    }

    /// Removes one object after the other, each by the arguments of its call; a failure stops none of those behind it.
    ///
    /// # Errors
    /// The last failure.
    pub fn remove<'a>(&self, removals: impl IntoIterator<Item = &'a Args>) -> Result<(), EngineError> {
        last_failure(removals.into_iter().map(|args| self.begin_removal([args]).finish()))
    }

    /// Removes a session's home, and what it has pushed; before them the readers that still use them. Those are only looked
    /// for where the engine says that a volume is in use.
    ///
    /// # Errors
    /// A volume is left.
    pub fn remove_home(&self, plan: &Plan) -> Result<(), EngineError> {
        let down = plan.down();
        match self.remove(down.volumes()) {
            Err(error) if error.kind == EngineErrorKind::InUse => {
                let readers: Vec<Args> = self.readers_of(plan)?.iter().map(|it| remove_container(&it.name)).collect();
                self.remove(&readers)?;
                self.remove(down.volumes())
            }
            removed => removed,
        }
    }
}

/// Consumes all results.
fn last_failure(results: impl Iterator<Item = Result<(), EngineError>>) -> Result<(), EngineError> {
    results.filter_map(Result::err).last().map_or(Ok(()), Err)
}
