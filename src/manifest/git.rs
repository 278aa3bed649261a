//! `git` of a bottle or an agent as written: the identity for commits, and remotes.

use super::block::{Block, bad_name, error_at, is_name};
use super::json::excerpt;
use super::{GitUser, keys, resolve_path};
use crate::exit::UserError;
use std::collections::HashMap;

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

/// Checks `remotes`, which the program does not use yet, and returns the line of each.
pub fn read_remotes(git: &Block) -> Result<Vec<u32>, UserError> {
    let mut lines = Vec::new();
    let mut names = HashMap::new();
    for node in git.array("remotes")? {
        let block = Block::open(git.file, node, &keys::REMOTE)?;
        let name = block.require("name")?;
        let text = block.string(name)?;
        if !is_name(text) {
            return Err(error_at(block.file, name.at.line, bad_name(text)));
        }
        if let Some(first) = names.insert(text, block.line) {
            return Err(block.error(name, format_args!("`{text}` is a remote already, in line {first}")));
        }
        check_remote(&block)?;
        lines.push(block.line);
    }
    Ok(lines)
}

fn check_remote(block: &Block) -> Result<(), UserError> {
    let upstream = block.require("upstream")?;
    let url = block.string(upstream)?;
    let clean = url.bytes().all(|b| b.is_ascii_graphic()) && !url.starts_with('-');
    let address = url
        .strip_prefix("ssh://")
        .is_some_and(|rest| rest.split_once('/').is_some_and(|(h, p)| !h.is_empty() && !p.is_empty()));
    let short =
        !url.contains("://") && url.split_once(':').is_some_and(|(host, path)| host.contains('@') && !path.is_empty());
    if !clean || !(address || short) {
        return Err(block.error(upstream, "wanted `ssh://[user@]host[:port]/path` or `user@host:path`"));
    }
    let key = block.require("identity_file")?;
    resolve_path(block.file, block.string(key)?).map_err(|why| block.error(key, why))?;
    if let Some(member) = block.get("known_host_key") {
        let mut words = block.string(member)?.split(' ');
        let kind = words.next().unwrap_or_default();
        let body = words.next().unwrap_or_default();
        let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        let known = kind.starts_with("ssh-") || kind.starts_with("ecdsa-") || kind.starts_with("sk-");
        if !known || body.is_empty() || !body.bytes().all(base64) {
            return Err(block.error(member, "wanted a public key, as in `ssh-ed25519 AAAA…`"));
        }
    }
    block.boolean("allow_force")?;
    block.boolean("allow_delete")?;
    if let Some(member) = block.get("refs") {
        for (line, name) in block.strings(member)? {
            if !name.starts_with("refs/") || name.contains("..") || !name.bytes().all(|b| b.is_ascii_graphic()) {
                let what = format!("`refs` in a remote: `{}` is no ref, as in `refs/heads/*`", excerpt(name));
                return Err(error_at(block.file, line, what));
            }
        }
    }
    Ok(())
}
