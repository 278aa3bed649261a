//! Deciding about a session: what was asked for is read from its trail, and what the operator decides goes to disk, to the
//! gate, and into the record of decisions. Every step can be done again.

mod decide;
mod find;
mod gate;
mod operator;

pub use decide::{ApprovalScope, Deed, signed};
pub use find::Decidable;
pub use gate::{GateRefusal, ask};
pub use operator::operator;

use crate::exit::UserError;
use crate::manifest::{self, FILE, Route};
use crate::plan::{LeftOutRoute, Plan, SessionRoutes};
use crate::state::{Folder, Home};
use anyhow::Result;
use policy::Policy;

/// A session that is decided about.
pub struct SupervisedSession {
    pub folder: Folder,
    /// With the routes that were added to the session.
    pub plan: Plan,
    pub routes: SessionRoutes,
    pub left_out: Vec<LeftOutRoute>,
    /// The Dockerfile of packages that were approved for it.
    pub dockerfile: Option<String>,
    /// The policy of the plan on disk.
    recorded: Policy,
}

impl SupervisedSession {
    /// # Errors
    /// `UserError` for an unknown session, and for files of it that cannot be read.
    pub fn open(home: &Home, typed: Option<&str>) -> Result<SupervisedSession> {
        let folder = home.find(typed)?;
        let routes = folder.session_routes()?;
        let recorded = folder.plan()?;
        let (plan, left_out) = recorded.with_session_routes(&routes);
        let dockerfile = folder.dockerfile()?;
        Ok(SupervisedSession { folder, plan, routes, left_out, dockerfile, recorded: recorded.policy })
    }

    /// Reads one route, as a manifest of the session's home could have it.
    ///
    /// # Errors
    /// `UserError` for what is no route.
    pub fn read_route(&self, text: &str) -> Result<Route, UserError> {
        manifest::read_route(&self.plan.home.join(FILE), text)
    }
}
