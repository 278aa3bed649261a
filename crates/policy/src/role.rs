//! Built-in rules: the methods and paths that a route with `role` allows.

use super::{PathPattern, Role};
use std::sync::LazyLock;

/// Methods, and a path pattern.
type RoleRule = (&'static [&'static str], &'static str);

/// `role: "claude"`: what Claude Code asks of the model's host, and nothing that uploads a file, makes a key, or writes
/// outside the conversation.
const CLAUDE: &[RoleRule] = &[
    (&["POST"], "/v1/messages"),
    (&["POST"], "/v1/messages/count_tokens"),
    (&["GET"], "/v1/models"),
    (&["GET"], "/v1/models/*"),
    (&["GET", "HEAD"], "/api/hello"),
    (&["GET"], "/api/claude_code/**"),
    (&["GET"], "/api/claude_cli/**"),
    (&["GET"], "/api/oauth/**"),
    // WebFetch asks this before it fetches from a host.
    (&["GET"], "/api/web/domain_info"),
];

/// The rules of a role, each with methods and a path.
pub(super) fn rules_of(role: Role) -> &'static [RoleRule] {
    match role {
        Role::Claude => CLAUDE,
    }
}

/// The parsed path of each rule, in the order of [`rules_of`].
pub(super) fn patterns_of(role: Role) -> &'static [PathPattern] {
    static PARSED: LazyLock<Vec<PathPattern>> = LazyLock::new(|| {
        CLAUDE.iter().filter_map(|(_, path)| PathPattern::try_from((*path).to_owned()).ok()).collect()
    });
    match role {
        Role::Claude => &PARSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_pattern() {
        let written: Vec<&str> = rules_of(Role::Claude).iter().map(|(_, path)| *path).collect();
        let parsed: Vec<&str> = patterns_of(Role::Claude).iter().map(PathPattern::as_str).collect();
        assert_eq!(written, parsed);
    }
}
