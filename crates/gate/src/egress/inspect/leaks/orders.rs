//! What the scanner does about a finding.

use policy::{Dlp, Role, Route};
use scan::dlp::{Action, Orders};

/// For a text that is never changed and never needs to carry a secret, as a host's name: every secret blocks it.
pub const BLOCK_SECRETS: Orders = Orders { seen: Action::Block, patterns: Action::Off, stuck: Action::Block };

/// The orders of a route. On the model's host nothing blocks: the agent sends the whole conversation again with each
/// request, so one secret in it would end the session.
pub fn for_route(route: &Route) -> Orders {
    let all = |action, stuck| Orders { seen: action, patterns: action, stuck };
    match (route.role, route.dlp) {
        (_, Dlp::Off) => all(Action::Off, Action::Off),
        (Some(Role::Claude), _) => Orders { seen: Action::Mask, patterns: Action::Off, stuck: Action::Warn },
        (None, Dlp::Block) => all(Action::Block, Action::Block),
        (None, Dlp::Redact) => all(Action::Mask, Action::Block),
        (None, Dlp::Warn) => all(Action::Warn, Action::Warn),
    }
}
