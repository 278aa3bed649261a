//! A route's `auth` as written: which credential the gate sends with a request, in which form, and where it comes from.
//!
//! No error quotes a value that may be the token itself.

use super::block::{Block, error_at, is_variable, list_names};
use super::json::{Member, Value, excerpt};
use super::keys;
use super::route::is_header;
use super::{Placeholder, Token, env};
use crate::exit::UserError;
use policy::{AuthScheme, CONNECTION_HEADERS, Role};

/// The variables in which Claude Code looks for its credential. The scheme follows from the variable.
const PLACEHOLDERS: [&str; 3] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
/// What stands in a variable in a credential's place, unless `placeholder` says otherwise.
pub const DEFAULT_PLACEHOLDER: &str = "placeholder-the-gate-puts-the-real-credential-in";
/// Characters of one kind in a row that a placeholder has. In base64, `A`s in a row are zeros, and may be of a credential.
const PLACEHOLDER_RUN: usize = 9;
const MAX_PLACEHOLDER_BYTES: usize = 200;
/// Variables in whose place no credential is looked for, and without which little works.
const NEEDED_VARIABLES: [&str; 7] = ["PATH", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "CLAUDE_BOTTLE"];
/// Headers that carry no credential, beside those of the connection.
const NO_CREDENTIAL_HEADERS: [&str; 2] = ["content-type", "proxy-authorization"];

/// A credential as written; its token has no name yet.
#[derive(Debug, Clone)]
pub struct Credential {
    pub scheme: AuthScheme,
    pub token: Token,
    pub placeholder: Option<Placeholder>,
}

/// Reads `auth` of a route with this role.
///
/// # Errors
/// `UserError` without exactly one source of the token, and for keys that do not belong together.
pub fn read(block: &Block, role: Option<Role>) -> Result<Credential, UserError> {
    let Some(token) = read_token(block)? else {
        let what = "`auth` without a token: `token_ref` or `token_cmd` is wanted";
        return Err(error_at(block.file, block.line, what));
    };
    let Some(Role::Claude) = role else {
        return Ok(Credential { scheme: scheme(block)?, token, placeholder: placeholder(block)? });
    };
    block.forbid(&["scheme", "user"], "not beside `role: \"claude\"`: the scheme follows the variable")?;
    block.forbid(&["placeholder"], "not beside `role: \"claude\"`: Claude Code takes the usual one")?;
    let variable = claude_variable(block, &token)?;
    let scheme = match variable.as_str() {
        "ANTHROPIC_API_KEY" => AuthScheme::Header { header: "x-api-key".into() },
        _ => AuthScheme::Bearer,
    };
    let placeholder = Placeholder { variable, value: DEFAULT_PLACEHOLDER.into() };
    Ok(Credential { scheme, token, placeholder: Some(placeholder) })
}

/// `as` and `placeholder` of a route without a role: for programs that ask nothing before they have seen a credential.
fn placeholder(block: &Block) -> Result<Option<Placeholder>, UserError> {
    let Some(member) = block.get("as") else {
        block.forbid(&["placeholder"], "belongs to `as`, the variable that holds it")?;
        return Ok(None);
    };
    let variable = variable(block, member)?;
    if let Some(why) = env::reserved(&variable) {
        return Err(block.error(member, format_args!("`{variable}` {why}")));
    }
    if NEEDED_VARIABLES.contains(&variable.as_str()) {
        return Err(block.error(member, format_args!("`{variable}` is a variable that programs need as it is")));
    }
    let Some(written) = block.get("placeholder") else {
        return Ok(Some(Placeholder { variable, value: DEFAULT_PLACEHOLDER.into() }));
    };
    let value = block.string(written)?;
    // A value that is not one may be the token itself, pasted here: it is not shown.
    if !is_placeholder(value) {
        let what =
            "not plainly a placeholder: wanted up to 200 visible ASCII characters with a run of nine that are the same";
        return Err(block
            .error(written, what)
            .hint("as in `\"ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"`; a token belongs to `token_ref`"));
    }
    Ok(Some(Placeholder { variable, value: value.to_owned() }))
}

/// No credential looks so, and the scanner takes none of it for one: it may stand in whatever the agent writes.
fn is_placeholder(value: &str) -> bool {
    let is_run = |run: &[u8]| run.len() >= PLACEHOLDER_RUN && run[0] != b'A';
    value.len() <= MAX_PLACEHOLDER_BYTES
        && value.bytes().all(|byte| byte.is_ascii_graphic())
        && value.as_bytes().chunk_by(|a, b| a == b).any(is_run)
}

/// Where the token comes from that `token_ref` or `token_cmd` of an object name; `None` without either.
///
/// # Errors
/// `UserError` for both, and for a value of the wrong form.
pub fn read_token(block: &Block) -> Result<Option<Token>, UserError> {
    match (block.get("token_ref"), block.get("token_cmd")) {
        (Some(member), None) => variable(block, member).map(|name| Some(Token::Env(name))),
        (None, Some(member)) => block.command(member).map(|command| Some(Token::Cmd(command))),
        (Some(_), Some(member)) => Err(block.error(member, "not beside `token_ref`: one of the two is wanted")),
        (None, None) => Ok(None),
    }
}

/// The value of `member` as the name of an environment variable.
fn variable(block: &Block, member: &Member) -> Result<String, UserError> {
    let Value::String(name) = &member.node.value else {
        return Err(block.error(member, format_args!("wanted a string, found {}", member.node.kind())));
    };
    // A value that is not a name may be the token itself, pasted here: it is not shown.
    if is_variable(name) {
        Ok(name.clone())
    } else {
        let whose = if member.key == "as" { "" } else { " of this machine" };
        Err(block.error(member, format_args!("wanted the name of an environment variable{whose}")))
    }
}

/// The variable of Claude Code that holds the placeholder inside the bottle: `as`, else the name in `token_ref`.
fn claude_variable(block: &Block, token: &Token) -> Result<String, UserError> {
    let names = list_names(PLACEHOLDERS, " or ");
    let (member, name) = match (block.get("as"), token) {
        (Some(member), _) => (member, variable(block, member)?),
        (None, Token::Env(name)) => (block.require("token_ref")?, name.clone()),
        (None, Token::Cmd(_)) => {
            let what = format!("`role: \"claude\"` with `token_cmd` needs `as`: {names}");
            return Err(error_at(block.file, block.line, what));
        }
    };
    if PLACEHOLDERS.contains(&name.as_str()) {
        return Ok(name);
    }
    let what = format!("Claude Code reads its credential from {names}, not from `{}`", excerpt(&name));
    let error = block.error(member, what);
    Err(if member.key == "as" {
        error
    } else {
        error.hint("say which beside it, as in `\"as\": \"ANTHROPIC_API_KEY\"`")
    })
}

fn scheme(block: &Block) -> Result<AuthScheme, UserError> {
    let user = block.optional_string("user")?;
    let Some(member) = block.get("scheme") else {
        block.forbid(&["user"], "belongs to `scheme: \"Basic\"`")?;
        return Ok(AuthScheme::Bearer);
    };
    if let Value::Object(_) = member.node.value {
        block.forbid(&["user"], "belongs to `scheme: \"Basic\"`")?;
        let form = Block::open(block.file, &member.node, &keys::SCHEME)?;
        let written = form.require("header")?;
        let header = form.string(written)?.to_ascii_lowercase();
        if !is_header(&header) {
            return Err(form.error(written, "not the name of a header"));
        }
        if CONNECTION_HEADERS.into_iter().chain(NO_CREDENTIAL_HEADERS).any(|name| name == header) {
            return Err(form.error(written, format_args!("`{header}` carries no credential")));
        }
        return Ok(AuthScheme::Header { header });
    }
    let (bearer, token, basic) =
        (AuthScheme::Bearer, AuthScheme::Token, AuthScheme::Basic { user: user.unwrap_or_default().into() });
    let scheme = match &member.node.value {
        Value::String(_) => block.choice("scheme", &[("Bearer", &bearer), ("token", &token), ("Basic", &basic)])?,
        _ => {
            let what =
                format!("wanted `Bearer`, `token`, `Basic` or `{{ \"header\": … }}`, found {}", member.node.kind());
            return Err(block.error(member, what));
        }
    };
    match (scheme, user) {
        (Some(AuthScheme::Basic { .. }), None) => Err(block.error(member, "`Basic` needs `user`")),
        (Some(AuthScheme::Basic { .. }), Some(user)) if user.contains(':') || user.chars().any(char::is_control) => {
            Err(error_at(block.file, member.at.line, "`user` in `auth`: no `:` and no control character"))
        }
        (Some(AuthScheme::Basic { .. }), Some(_)) | (_, None) => Ok(scheme.cloned().unwrap_or(AuthScheme::Bearer)),
        (_, Some(_)) => Err(error_at(block.file, member.at.line, "`user` in `auth`: belongs to `scheme: \"Basic\"`")),
    }
}
