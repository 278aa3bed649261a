//! What of a session waits for a decision: what its trail has, without what was approved while no gate ran that could have
//! said so. The one rule for `proposals` and `dashboard`; the prompt's count follows the same events.

use super::{Condition, DecisionRecord, DecisionStage, EndRequest, Folder};
use crate::plan::session_route_id;
use crate::trail::{Candidate, PendingProposal, Trail};
use std::collections::BTreeSet;
use std::fs;
use std::time::SystemTime;
use wire::Change;

/// What can be decided about.
pub struct OpenAsks {
    /// The oldest first.
    pub proposals: Vec<PendingProposal>,
    /// The last refused first.
    pub refused: Vec<Candidate>,
}

impl Folder {
    /// What of this trail waits for a decision. A file of the session that cannot be read decides nothing.
    pub fn open_asks(&self, trail: &Trail) -> OpenAsks {
        let is_at_rest = matches!(self.condition(), Condition::Kept(_));
        let routes = self.session_routes().unwrap_or_default();
        // A route that the gate did not begin with is that of an approval under way, or of one that was cut off.
        let begun_with: BTreeSet<String> = match is_at_rest || routes.routes.is_empty() {
            true => BTreeSet::new(),
            false => self.plan().map_or_else(
                |_| BTreeSet::new(),
                |plan| plan.policy.routes.iter().filter_map(session_route_id).map(str::to_owned).collect(),
            ),
        };
        let has_route = |change: &Change| {
            routes.of_change(change).is_some_and(|route| is_at_rest || begun_with.contains(&route.id))
        };
        let pending = trail.pending.list();
        let packages = match pending.iter().any(|proposal| matches!(proposal.change, Change::Packages(_))) {
            true => self.approved_packages(),
            false => Vec::new(),
        };
        let is_built = |proposal: &PendingProposal| {
            packages.contains(&proposal.change)
                && (is_at_rest
                    || !trail.pending.is_of_last_gate(proposal) && self.end_request() != Some(EndRequest::Rebuild))
        };
        let is_open = |proposal: &&PendingProposal| !has_route(&proposal.change) && !is_built(proposal);
        OpenAsks {
            proposals: pending.into_iter().filter(is_open).cloned().collect(),
            refused: trail.candidates().into_iter().filter(|candidate| !has_route(&candidate.change)).collect(),
        }
    }

    /// The lists of packages that were approved, by the record of decisions: the Dockerfile may have been edited.
    fn approved_packages(&self) -> Vec<Change> {
        let text = fs::read_to_string(self.decisions()).unwrap_or_default();
        let records = text.lines().filter_map(|line| serde_json::from_str::<DecisionRecord>(line).ok());
        let applied = records.filter(|record| record.stage == DecisionStage::Applied && record.action == "approve");
        applied.filter_map(|record| record.change).filter(|change| matches!(change, Change::Packages(_))).collect()
    }

    /// When the session's routes, and the record of decisions about it, changed last.
    pub fn decided_at(&self) -> [Option<SystemTime>; 2] {
        [self.session_routes_path(), self.decisions()]
            .map(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok())
    }
}
