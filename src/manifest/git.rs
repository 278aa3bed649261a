//! `git` of a bottle or an agent as written: the identity for commits, and remotes.

use super::block::{Block, bad_name, error_at, is_name};
use super::json::{Member, excerpt};
use super::{GitUser, Remote, RemoteAccess, RemoteUpstream, auth, keys, resolve_path};
use crate::exit::UserError;
use policy::{RefPattern, RefRules, plain_name};
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// What `upstream` may be.
const UPSTREAM_FORMS: &str = "wanted `ssh://user@host[:port]/path`, `user@host:path` or `https://host[:port]/path`";
const DEFAULT_REFS: [&str; 2] = ["refs/heads/*", "refs/tags/*"];
/// The user of basic authentication where none is given: forges take any beside a token.
const DEFAULT_HTTPS_USER: &str = "git";
/// The name that git gives to the remote of a clone. Two remotes of one name would be one with two URLs.
const ORIGIN: &str = "origin";
/// Characters of a user's name.
const MAX_USER_CHARS: usize = 64;

/// Reads `user` of a bottle's or an agent's `git`.
pub fn read_user(git: &Block) -> Result<Option<GitUser>, UserError> {
    let Some(block) = git.object("user", &keys::USER)? else { return Ok(None) };
    let line = |key| {
        let member = block.require(key)?;
        let text = block.string(member)?;
        if text.contains(['<', '>']) || text.chars().any(char::is_control) {
            return Err(block.error(member, "no `<`, `>` and no control character"));
        }
        Ok(text.to_string())
    };
    Ok(Some(GitUser { name: line("name")?, email: line("email")? }))
}

/// Reads `remotes` of a bottle's `git`, each with its line.
pub fn read_remotes(git: &Block) -> Result<Vec<(u32, Remote)>, UserError> {
    git.array("remotes")?.iter().map(|node| read_remote(&Block::open(git.file, node, &keys::REMOTE)?)).collect()
}

/// Reads `signing_key` of a bottle's `git`. Absolute.
pub fn read_signing_key(git: &Block) -> Result<Option<PathBuf>, UserError> {
    let Some(member) = git.get("signing_key") else { return Ok(None) };
    resolve_path(git.file, git.string(member)?).map(Some).map_err(|why| git.error(member, why))
}

/// Checks the remotes of a bottle together, inherited ones too.
///
/// # Errors
/// `UserError` for two remotes of one name or of one upstream, or two local ones: git inside would not know which is meant.
pub fn check_remotes(file: &Path, remotes: &[(u32, Remote)]) -> Result<(), UserError> {
    let (mut names, mut upstreams) = (HashMap::new(), HashMap::new());
    for (line, remote) in remotes {
        if let Some(first) = names.insert(&remote.name, line) {
            let what = format!("`name` in a remote: `{}` is a remote already, in line {first}", remote.name);
            return Err(error_at(file, *line, what));
        }
        let place = remote.upstream.as_ref().map(|upstream| (&upstream.host, upstream.plain_path()));
        if let Some(first) = upstreams.insert(place, line) {
            let key = if place.is_some() { "upstream" } else { "local" };
            let what = format!("`{key}` in a remote: it is the one of the remote in line {first} already");
            return Err(error_at(file, *line, what));
        }
    }
    Ok(())
}

fn read_remote(block: &Block) -> Result<(u32, Remote), UserError> {
    let name = block.require("name")?;
    let text = block.string(name)?;
    if !is_name(text) {
        return Err(error_at(block.file, name.at.line, bad_name(text)));
    }
    let upstream = match block.boolean("local")? {
        Some((_, true)) => {
            let of_servers = ["identity_file", "known_host_key", "token_ref", "token_cmd", "user", "private"];
            block.forbid(&[&["upstream"], &of_servers[..]].concat(), "a `local` remote has no upstream")?;
            if text == ORIGIN {
                return Err(block.error(name, "of a `local` remote: it is what git calls the remote of every clone"));
            }
            None
        }
        _ => Some(read_upstream(block)?),
    };
    let flag = |key| Ok::<_, UserError>(block.boolean(key)?.is_some_and(|(_, on)| on));
    let remote = Remote {
        name: text.to_owned(),
        origin: format!("{}:{}", super::shown(block.file), block.line),
        upstream,
        rules: RefRules {
            refs: match block.get("refs") {
                Some(member) => read_refs(block, member)?,
                None => {
                    DEFAULT_REFS.into_iter().filter_map(|text| RefPattern::try_from(text.to_owned()).ok()).collect()
                }
            },
            protected: block.get("protected").map_or(Ok(Vec::new()), |member| read_refs(block, member))?,
            allow_force: flag("allow_force")?,
            allow_delete: flag("allow_delete")?,
        },
    };
    Ok((block.line, remote))
}

fn read_upstream(block: &Block) -> Result<RemoteUpstream, UserError> {
    let member = block.require("upstream")?;
    let written = block.string(member)?;
    let upstream = Upstream::parse(written).map_err(|why| block.error(member, why))?;
    let private = block.boolean("private")?.is_some_and(|(_, on)| on);
    if !private && policy::needs_private(&upstream.host) {
        return Err(block.error(member, "a private address: the remote needs `\"private\": true`"));
    }
    Ok(RemoteUpstream {
        written: written.to_owned(),
        access: read_access(block, &upstream)?,
        host: upstream.host,
        port: upstream.port,
        path: upstream.path,
        user: match upstream.user {
            Some(user) => user,
            None => read_https_user(block)?,
        },
        private,
    })
}

fn read_https_user(block: &Block) -> Result<String, UserError> {
    let Some(member) = block.get("user") else { return Ok(DEFAULT_HTTPS_USER.to_owned()) };
    let user = block.string(member)?;
    if user.contains(':') || user.chars().any(char::is_control) || user.chars().count() > MAX_USER_CHARS {
        return Err(block.error(member, "no `:`, no control character, and at most 64 characters"));
    }
    Ok(user.to_owned())
}

/// By what the gate is let in at the upstream.
fn read_access(block: &Block, upstream: &Upstream) -> Result<RemoteAccess, UserError> {
    match upstream.user {
        Some(_) => {
            block.forbid(&["token_ref", "token_cmd", "user"], "belongs to an `https://` upstream")?;
            let key = block.require("identity_file")?;
            let identity_file = resolve_path(block.file, block.string(key)?).map_err(|why| block.error(key, why))?;
            let host_key = block.get("known_host_key").map(|member| read_host_key(block, member)).transpose()?;
            Ok(RemoteAccess::Ssh { identity_file, host_key })
        }
        None => {
            block.forbid(&["identity_file", "known_host_key"], "belongs to an ssh upstream")?;
            Ok(RemoteAccess::Https { token: auth::read_token(block)? })
        }
    }
}

/// The type and the base64 text of a public key, without its comment.
fn read_host_key(block: &Block, member: &Member) -> Result<String, UserError> {
    let mut words = block.string(member)?.split(' ');
    let kind = words.next().unwrap_or_default();
    let body = words.next().unwrap_or_default();
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-");
    if !known || body.is_empty() || !body.bytes().all(base64) || !kind.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(block.error(member, "wanted a public key, as in `ssh-ed25519 AAAA…`"));
    }
    Ok(format!("{kind} {body}"))
}

fn read_refs(block: &Block, member: &Member) -> Result<Vec<RefPattern>, UserError> {
    let read = |(line, text): (u32, &str)| {
        RefPattern::try_from(text.to_owned()).map_err(|_| {
            let what = format!("`{}` in a remote: `{}` is no ref, as in `refs/heads/*`", member.key, excerpt(text));
            error_at(block.file, line, what)
        })
    };
    block.strings(member)?.into_iter().map(read).collect()
}

/// `upstream` taken apart.
struct Upstream {
    /// `None`: it is reached by HTTPS.
    user: Option<String>,
    host: String,
    port: u16,
    path: String,
}

impl Upstream {
    fn parse(text: &str) -> Result<Upstream, &'static str> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.starts_with('-') {
            return Err(UPSTREAM_FORMS);
        }
        if let Some(rest) = text.strip_prefix("ssh://") {
            let (authority, path) = rest.split_once('/').ok_or(UPSTREAM_FORMS)?;
            let (user, place) = authority.split_once('@').ok_or("who logs in is missing: `ssh://user@host/path`")?;
            // As git reads it: a path below a home begins with `~`.
            let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
            return Upstream::new(Some(user), place, 22, path);
        }
        if let Some(rest) = text.strip_prefix("https://") {
            let (place, path) = rest.split_once('/').ok_or(UPSTREAM_FORMS)?;
            if place.contains('@') {
                return Err(
                    "no user and no password in a URL: they are `user` and `token_ref` or `token_cmd` beside it",
                );
            }
            if path.contains(['?', '#', '%', '\\']) || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
                return Err("a plain path is wanted, without `%`, `?`, `#` and `..`");
            }
            return Upstream::new(None, place, 443, format!("/{path}"));
        }
        let (place, path) = text.split_once(':').filter(|_| !text.contains("://")).ok_or(UPSTREAM_FORMS)?;
        let (user, host) = place.split_once('@').ok_or(UPSTREAM_FORMS)?;
        if host.contains([':', '/']) {
            return Err(UPSTREAM_FORMS);
        }
        Upstream::new(Some(user), host, 22, path.to_owned())
    }

    fn new(user: Option<&str>, place: &str, default_port: u16, path: String) -> Result<Upstream, &'static str> {
        // An address of IPv6 has colons of its own, and brackets around it.
        let (bracketed, after) = match place.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map(|(host, after)| (Some(host), after)).ok_or(UPSTREAM_FORMS)?,
            None => (None, place),
        };
        let (host, port) = match after.split_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, port.parse().ok().filter(|port| *port != 0).ok_or("the port is not one of 1 to 65535")?)
            }
            Some(_) => return Err(UPSTREAM_FORMS),
            None => (after, default_port),
        };
        let is_user = |user: &str| {
            (1..=MAX_USER_CHARS).contains(&user.len())
                && !user.starts_with('-')
                && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte))
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err("no password in a URL: the gate logs in by `identity_file`");
        }
        if user.is_some_and(|user| !is_user(user)) || path.trim_matches('/').is_empty() {
            return Err(UPSTREAM_FORMS);
        }
        let host = match (bracketed, host.parse::<Ipv4Addr>()) {
            (Some(address), _) if host.is_empty() => {
                address.parse::<Ipv6Addr>().ok().map(|address| address.to_string())
            }
            (Some(_), _) => None,
            (None, Ok(address)) => Some(address.to_string()),
            // ssh would take a name that begins with a dash for an option.
            (None, Err(_)) => plain_name(host).filter(|host| !host.starts_with('-')),
        };
        let host = host.ok_or(UPSTREAM_FORMS)?;
        Ok(Upstream { user: user.map(str::to_owned), host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(Option<String>, String, u16, String)> {
        Upstream::parse(text).ok().map(|to| (to.user, to.host, to.port, to.path))
    }

    #[test]
    fn upstreams_are_taken_apart() {
        let ssh =
            |user: &str, port, path: &str| Some((Some(user.to_owned()), "x.org".to_owned(), port, path.to_owned()));
        let https = |port, path: &str| Some((None, "x.org".to_owned(), port, path.to_owned()));
        for (text, wanted) in [
            ("ssh://git@x.org/team/app.git", ssh("git", 22, "/team/app.git")),
            ("ssh://git@X.org:2222/team/app", ssh("git", 2222, "/team/app")),
            ("ssh://me@x.org/~/app", ssh("me", 22, "~/app")),
            ("git@x.org:team/app.git", ssh("git", 22, "team/app.git")),
            ("git@x.org:/srv/app.git", ssh("git", 22, "/srv/app.git")),
            ("https://x.org/team/app.git", https(443, "/team/app.git")),
            ("https://x.org:8443/app", https(8443, "/app")),
        ] {
            assert_eq!(parsed(text), wanted, "{text}");
        }
        for (text, host) in [("git@10.0.0.1:app", "10.0.0.1"), ("ssh://git@[FD00::1]:2222/app", "fd00::1")] {
            assert_eq!(parsed(text).map(|(_, host, ..)| host).as_deref(), Some(host), "{text}");
        }
        for bad in [
            "",
            "app",
            "/srv/app.git",
            "file:///srv/app.git",
            "git://x.org/app",
            "http://x.org/app",
            "ext::sh -c x",
            "ssh://x.org/app",
            "ssh://git@x.org",
            "ssh://git@x.org/",
            "ssh://git:pw@x.org/app",
            "ssh://-oX@x.org/app",
            "ssh://git@-oX/app",
            "ssh://git@x.org:0/app",
            "ssh://git@x.org:70000/app",
            "ssh://git@x.org:a/app",
            "ssh://git@010.0.0.1/app",
            "ssh://git@[::1/app",
            "ssh://git@[::1]x/app",
            "ssh://git@::1/app",
            "x.org:app",
            "git@x.org:",
            "git@x.org",
            "-o@x:y",
            "https://me@x.org/app",
            "https://me:pw@x.org/app",
            "https://x.org",
            "https://x.org/",
            "https://x.org/a/../b",
            "https://x.org/a%2fb",
            "https://x.org/a?b",
            "https://x.org//a",
            "git@x.org:a b",
            "git@x.org:a\nb",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }
}
