//! One variable of a bottle's `env` as written.

use super::EnvValue;
use super::block::{error_at, is_variable};
use super::json::{Member, Value, excerpt};
use crate::exit::UserError;
use policy::PROXY_VARIABLES;
use std::path::Path;
use wire::{CA_FOLDER_VARIABLE, CA_VARIABLES};

/// Reads one variable of `env`. No error quotes its value: a literal may be a secret of the user's.
pub fn read(file: &Path, member: &Member) -> Result<EnvValue, UserError> {
    let key = &member.key;
    let bad = |what: String| error_at(file, member.at.line, format_args!("variable `{}`: {what}", excerpt(key)));
    if !is_variable(key) {
        return Err(bad("not a name of an environment variable".into()));
    }
    if let Some(why) = reserved(key) {
        return Err(bad(why.into()));
    }
    let text = match &member.node.value {
        Value::String(text) => text,
        Value::Number(_) | Value::Bool(_) => {
            let kind = member.node.kind();
            return Err(bad(format!("wanted a string, found {kind}; the environment knows only strings"))
                .hint("put it in double quotes"));
        }
        _ => return Err(bad(format!("wanted a string, found {}", member.node.kind()))),
    };
    if text.contains('\0') {
        return Err(bad("no program takes a NUL character".into()));
    }
    if let Some(inner) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
        match inner.strip_suffix(":-") {
            Some(name) if is_variable(name) => return Ok(EnvValue::HostOrEmpty(name.into())),
            None if is_variable(inner) => return Ok(EnvValue::Host(inner.into())),
            _ => {}
        }
    }
    if text.contains("${") {
        let what =
            "`${NAME}` copies a variable of this machine only as the whole value, `${NAME:-}` also one that is not set";
        return Err(bad(what.into()));
    }
    match text.strip_prefix('?').map(str::trim) {
        Some("") => Err(bad("`?` wants the text of the question behind it".into())),
        Some(question) if question.chars().any(char::is_control) => Err(bad("a question is one line".into())),
        Some(question) => Ok(EnvValue::Ask(question.into())),
        None => Ok(EnvValue::Literal(text.clone())),
    }
}

/// The reason why `env` may not set a variable that the bottle itself depends on; `None` for any other.
pub fn reserved(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    if PROXY_VARIABLES.contains(&lower.as_str()) {
        return Some("a bottle has no proxy: names just work, and `routes` decide what they reach");
    }
    if CA_VARIABLES.contains(&name) || name == CA_FOLDER_VARIABLE {
        return Some("points at the bottle's own certificates; for an upstream's CA a route has `upstream_ca`");
    }
    (name == "HOME").then_some("is always the bottle's own home")
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn env(text: &str) -> Result<EnvValue, String> {
        let Value::Object(members) = json::parse(&format!("{{ {text} }}")).unwrap().value else { panic!() };
        read(Path::new("m"), &members[0]).map_err(|error| error.what)
    }

    #[test]
    fn a_variable_is_a_literal_a_copy_or_a_question() {
        assert_eq!(env(r#""A": "UTC""#), Ok(EnvValue::Literal("UTC".into())));
        assert_eq!(env(r#""A": """#), Ok(EnvValue::Literal(String::new())));
        assert_eq!(env(r#""A": "$HOME {x}""#), Ok(EnvValue::Literal("$HOME {x}".into())));
        assert_eq!(env(r#""A": "${MY_REGION}""#), Ok(EnvValue::Host("MY_REGION".into())));
        assert_eq!(env(r#""A": "${MY_REGION:-}""#), Ok(EnvValue::HostOrEmpty("MY_REGION".into())));
        assert_eq!(env(r#""A": "?PIN for the demo""#), Ok(EnvValue::Ask("PIN for the demo".into())));
    }

    #[test]
    fn a_bad_variable_says_why_and_never_shows_its_value() {
        let whole = "m:1: variable `A`: `${NAME}` copies a variable of this machine only as the whole value, \
                     `${NAME:-}` also one that is not set";
        for text in [
            r#""A": "x${B}""#,
            r#""A": "${B}x""#,
            r#""A": "${B}${C}""#,
            r#""A": "${}""#,
            r#""A": "${:-}""#,
            r#""A": "${B:-c}""#,
            r#""A": "${B-}""#,
            r#""A": "?${B}""#,
            r#""A": "${B""#,
        ] {
            assert_eq!(env(text), Err(whole.into()), "{text}");
        }
        for (text, wanted) in [
            (r#""A": 5"#, "variable `A`: wanted a string, found a number; the environment knows only strings"),
            (r#""A": true"#, "variable `A`: wanted a string, found a boolean; the environment knows only strings"),
            (r#""A": null"#, "variable `A`: wanted a string, found null"),
            (r#""A": "? ""#, "variable `A`: `?` wants the text of the question behind it"),
            (r#""A-B": "x""#, "variable `A-B`: not a name of an environment variable"),
            (r#""HOME": "/x""#, "variable `HOME`: is always the bottle's own home"),
            (
                r#""Https_Proxy": "x""#,
                "variable `Https_Proxy`: a bottle has no proxy: names just work, and `routes` decide what they reach",
            ),
            (
                r#""SSL_CERT_FILE": "x""#,
                "variable `SSL_CERT_FILE`: points at the bottle's own certificates; for an upstream's CA a route has `upstream_ca`",
            ),
        ] {
            assert_eq!(env(text), Err(format!("m:1: {wanted}")), "{text}");
        }
    }
}
