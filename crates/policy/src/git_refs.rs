//! Which refs of a declared remote the agent sees, and which of them a push may change, and how.

use super::{Denial, Reason};
use serde::{Deserialize, Serialize};

/// Bytes of a ref's name.
pub const MAX_REF_BYTES: usize = 255;

/// A pattern of ref names as in a refspec of git's: a full name, or one with a single `*`, which stands for any characters,
/// slashes too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RefPattern(String);

/// What a bottle may do with the refs of one remote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefRules {
    /// The refs that can be fetched and pushed. Others do not exist for the agent.
    pub refs: Vec<RefPattern>,
    /// The refs that no push may change, though they are among `refs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protected: Vec<RefPattern>,
    /// A push may take commits away from a branch, or move a tag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_force: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_delete: bool,
}

/// What a push does to one ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefChange {
    Create,
    /// The old commit is an ancestor of the new one.
    FastForward,
    /// Any other change of a ref that exists.
    Force,
    Delete,
}

impl RefPattern {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, name: &str) -> bool {
        match self.0.split_once('*') {
            Some((head, tail)) => {
                name.len() > head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
            }
            None => name == self.0,
        }
    }

    /// For a pattern that protects: also a name that only differs in case, because a server whose disk ignores case has one
    /// file for both.
    pub fn matches_loosely(&self, name: &str) -> bool {
        RefPattern(self.0.to_lowercase()).matches(&name.to_lowercase())
    }
}

impl TryFrom<String> for RefPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.matches('*').count() > 1 {
            return Err(format!("bad ref pattern `{text}`: `*` may stand in it once"));
        }
        if !is_ref_name(&text.replace('*', "x")) {
            return Err(format!("bad ref pattern `{text}`: wanted the full name of a ref, as `refs/heads/*`"));
        }
        Ok(RefPattern(text))
    }
}

impl From<RefPattern> for String {
    fn from(pattern: RefPattern) -> String {
        pattern.0
    }
}

impl RefRules {
    /// Whether the agent sees this ref at all.
    pub fn shows(&self, name: &str) -> bool {
        self.refs.iter().any(|pattern| pattern.matches(name))
    }

    /// May a push do this?
    ///
    /// # Errors
    /// A denial that names the ref, and the key of the manifest that decides.
    pub fn judge(&self, name: &str, change: RefChange) -> Result<(), Denial> {
        let denied = |why: String| Err(Denial::new(Reason::Git, why));
        if !is_ref_name(name) {
            return denied("the name of a ref is not valid".to_owned());
        }
        if !self.shows(name) {
            let patterns: Vec<&str> = self.refs.iter().map(RefPattern::as_str).collect();
            return denied(format!("`{name}` is none of the remote's `refs` ({})", patterns.join(", ")));
        }
        if self.protected.iter().any(|pattern| pattern.matches_loosely(name)) {
            return denied(format!("`{name}` is protected: push to a branch of another name"));
        }
        match change {
            RefChange::Delete if !self.allow_delete => {
                denied(format!("`{name}` may not be deleted: the remote has no `allow_delete`"))
            }
            RefChange::Force if !self.allow_force => denied(format!(
                "`{name}` may only be moved forward: the remote has no `allow_force`; fetch, then merge or rebase"
            )),
            _ => Ok(()),
        }
    }
}

/// Whether git takes this for the full name of a ref, and a person reads it as one: the rules of `git check-ref-format`,
/// and no control or blank characters beyond ASCII either.
pub fn is_ref_name(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let is_bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\');
    name.len() <= MAX_REF_BYTES
        && name.starts_with("refs/")
        && name.matches('/').count() >= 2
        && name.split('/').all(is_part)
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains(is_bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> RefPattern {
        RefPattern::try_from(text.to_owned()).unwrap()
    }

    fn rules() -> RefRules {
        RefRules {
            refs: vec![pattern("refs/heads/*"), pattern("refs/tags/v*")],
            protected: vec![pattern("refs/heads/main"), pattern("refs/heads/release/*")],
            ..RefRules::default()
        }
    }

    #[test]
    fn a_pattern_is_a_name_or_has_one_star() {
        for (text, name, wanted) in [
            ("refs/heads/*", "refs/heads/a/b", true),
            ("refs/heads/*", "refs/heads/", false),
            ("refs/heads/*", "refs/tags/a", false),
            ("refs/heads/a*b", "refs/heads/a/x/b", true),
            ("refs/heads/a*b", "refs/heads/ab", false),
            ("refs/heads/a*a", "refs/heads/a", false),
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/main2", false),
        ] {
            assert_eq!(pattern(text).matches(name), wanted, "{text} {name}");
        }
        for bad in
            ["", "*", "main", "heads/*", "refs/*/*", "refs/heads/**", "refs/heads/..", "refs/heads/a b", "refs/x"]
        {
            assert!(RefPattern::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_push_changes_what_the_rules_name() {
        use RefChange::{Create, Delete, FastForward, Force};
        let open = RefRules { allow_force: true, allow_delete: true, ..rules() };
        for (name, change, narrow, wide) in [
            ("refs/heads/x", Create, true, true),
            ("refs/heads/x", FastForward, true, true),
            ("refs/heads/x", Force, false, true),
            ("refs/heads/x", Delete, false, true),
            ("refs/heads/main", FastForward, false, false),
            ("refs/heads/MAIN", Create, false, false),
            ("refs/heads/release/1", Create, false, false),
            ("refs/tags/v1", Create, true, true),
            ("refs/tags/x", Create, false, false),
            ("refs/notes/x", Create, false, false),
            ("HEAD", FastForward, false, false),
            ("refs/heads/../tags/v1", Create, false, false),
        ] {
            assert_eq!(rules().judge(name, change).is_ok(), narrow, "{name} {change:?}");
            assert_eq!(open.judge(name, change).is_ok(), wide, "{name} {change:?}");
        }
    }

    #[test]
    fn names_of_refs_are_those_of_git() {
        for good in ["refs/heads/a", "refs/heads/a-b/c.d", "refs/tags/v1.0", "refs/heads/grün", "refs/heads/@"] {
            assert!(is_ref_name(good), "{good}");
        }
        for bad in [
            "refs/heads",
            "refs/heads/",
            "refs//a",
            "refs/heads/.a",
            "refs/heads/a.lock",
            "refs/heads/a.lock/b",
            "refs/heads/a..b",
            "refs/heads/a.",
            "refs/heads/a@{1}",
            "refs/heads/a b",
            "refs/heads/a\u{7f}",
            "refs/heads/a\nb",
            "refs/heads/a\u{85}b",
            "refs/heads/a~1",
            "refs/heads/a^",
            "refs/heads/a:b",
            "refs/heads/a?",
            "refs/heads/[",
            "refs/heads/a\\b",
            "/refs/heads/a",
            "-refs/heads/a",
        ] {
            assert!(!is_ref_name(bad), "{bad}");
        }
        assert!(!is_ref_name(&format!("refs/heads/{}", "a".repeat(MAX_REF_BYTES))));
    }

    proptest! {
        #[test]
        fn a_star_stands_for_what_is_between(head in "[a-z]{1,4}", middle in "[a-z/]{1,6}", tail in "[a-z]{0,4}") {
            let wanted = pattern(&format!("refs/heads/{head}*{tail}"));
            let name = format!("refs/heads/{head}{middle}{tail}");
            prop_assert!(wanted.matches(&name));
            prop_assert!(wanted.matches_loosely(&name.to_uppercase()));
            let other = format!("refs/tags/{}", name);
            prop_assert!(!wanted.matches(&other));
        }

        #[test]
        fn what_is_protected_never_changes(name in "refs/heads/(main|release/[a-z]{1,5})") {
            let open = RefRules { allow_force: true, allow_delete: true, ..rules() };
            for change in [RefChange::Create, RefChange::FastForward, RefChange::Force, RefChange::Delete] {
                prop_assert!(open.judge(&name, change).is_err());
            }
        }
    }
}
