//! A route's `auth` as written: which credential the gate sends with a request, in which form, and where it comes from.
//!
//! No error quotes a value that may be the token itself.

use super::Token;
use super::block::{Block, error_at, is_variable, list_names};
use super::json::{Member, Value, excerpt};
use super::keys;
use super::route::is_header;
use crate::exit::UserError;
use policy::{AuthScheme, CONNECTION_HEADERS, Role};

/// The variables in which Claude Code looks for its credential. The scheme follows from the variable.
const PLACEHOLDERS: [&str; 3] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];
/// Headers that carry no credential, beside those of the connection.
const NO_CREDENTIAL_HEADERS: [&str; 2] = ["content-type", "proxy-authorization"];

/// A credential as written; its token has no name yet.
#[derive(Debug, Clone)]
pub struct Credential {
    pub scheme: AuthScheme,
    pub token: Token,
    /// `role: "claude"`: the variable that holds the placeholder inside the bottle.
    pub placeholder: Option<String>,
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
        block.forbid(&["as"], "belongs to `role: \"claude\"`")?;
        return Ok(Credential { scheme: scheme(block)?, token, placeholder: None });
    };
    block.forbid(&["scheme", "user"], "not beside `role: \"claude\"`: the scheme follows the variable")?;
    let placeholder = placeholder(block, &token)?;
    let scheme = match placeholder.as_str() {
        "ANTHROPIC_API_KEY" => AuthScheme::Header { header: "x-api-key".into() },
        _ => AuthScheme::Bearer,
    };
    Ok(Credential { scheme, token, placeholder: Some(placeholder) })
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
        Err(block.error(member, "wanted the name of an environment variable of this machine"))
    }
}

/// The variable that holds the placeholder inside the bottle: `as`, else the name in `token_ref`.
fn placeholder(block: &Block, token: &Token) -> Result<String, UserError> {
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
