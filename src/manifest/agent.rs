//! One agent as written. A directory's manifest may come from a stranger: its agents may name a bottle and a prompt, but
//! never what of the host goes in or what gets out.

use super::block::{Block, bad_name, error_at, is_name, list_names};
use super::git::read_user;
use super::json::{Member, Value, excerpt};
use super::{Agent, Prompt, Scope, keys, resolve_path};
use crate::exit::UserError;
use crate::hint;
use std::path::{Component, Path, PathBuf};

const MAX_SKILL_NAME_CHARS: usize = 64;

/// Skills of one agent.
const MAX_SKILLS: usize = 256;

/// Reads the agent that `member` defines.
///
/// # Errors
/// `UserError` for the first thing that is wrong in it.
pub fn read(file: &Path, member: &Member, scope: Scope) -> Result<Agent, UserError> {
    if !is_name(&member.key) {
        return Err(error_at(file, member.at.line, bad_name(&member.key)));
    }
    let block = match scope {
        Scope::Home => Block::open(file, &member.node, &keys::AGENT)?,
        Scope::Directory => {
            forbid_home_keys(file, member)?;
            Block::open(file, &member.node, &keys::DIRECTORY_AGENT)?
        }
    };
    let mut agent = Agent {
        name: member.key.clone(),
        file: file.to_path_buf(),
        line: member.at.line,
        scope,
        hides: None,
        bottle: block.string(block.require("bottle")?)?.to_string(),
        command: block.get("command").map(|member| block.command(member)).transpose()?,
        prompt: read_prompt(&block, scope)?,
        skills: read_skills(&block)?,
        claude_md: false,
        settings: serde_json::Map::new(),
        git_user: None,
    };
    if scope == Scope::Home {
        agent.claude_md = block.boolean("claude_md")?.is_some_and(|(_, on)| on);
        agent.settings = block.map("settings")?.iter().map(|m| (m.key.clone(), m.node.plain())).collect();
        agent.git_user = match block.object("git", &keys::AGENT_GIT)? {
            Some(git) => read_user(&git)?,
            None => None,
        };
    }
    Ok(agent)
}

/// # Errors
/// `UserError` for a key that only an agent of the home may have.
fn forbid_home_keys(file: &Path, member: &Member) -> Result<(), UserError> {
    let Value::Object(members) = &member.node.value else { return Ok(()) };
    let accepted = keys::DIRECTORY_AGENT.keys;
    let only_home = |m: &&Member| keys::AGENT.keys.contains(&m.key.as_str()) && !accepted.contains(&m.key.as_str());
    let Some(wrong) = members.iter().find(only_home) else { return Ok(()) };
    let what = format!(
        "`{}` in a directory's agent: a cloned repository does not decide that; accepted are {}",
        wrong.key,
        list_names(accepted.iter().copied(), " and ")
    );
    Err(error_at(file, wrong.at.line, what)
        .hint(hint!("an agent with `{}` belongs in the home's `claude-bottle.json`", wrong.key)))
}

/// Reads `prompt` or `prompt_file`; the file itself is not opened here.
fn read_prompt(block: &Block, scope: Scope) -> Result<Option<Prompt>, UserError> {
    let Some(member) = block.get("prompt_file") else {
        return Ok(block.optional_string("prompt")?.map(|text| Prompt::Text(text.into())));
    };
    if block.get("prompt").is_some() {
        return Err(block.error(member, "not beside `prompt`: one of the two is wanted"));
    }
    let text = block.string(member)?;
    let root = block.file.parent().unwrap_or(Path::new("/")).to_path_buf();
    let path = PathBuf::from(text);
    match scope {
        Scope::Home => {
            resolve_path(block.file, text).map_err(|why| block.error(member, why))?;
        }
        Scope::Directory => {
            let why = if path.is_absolute() || text.starts_with('~') {
                "must be relative to the manifest's folder"
            } else if path.components().any(|part| part == Component::ParentDir) {
                "must not climb out of the manifest's folder with `..`"
            } else if matches!(text.rsplit('/').next(), Some("" | ".")) {
                "must name a file"
            } else {
                return Ok(Some(Prompt::File { root, path }));
            };
            return Err(block.error(member, format_args!("`{}` {why}", excerpt(text))));
        }
    }
    Ok(Some(Prompt::File { root, path }))
}

/// Reads `skills`: names of folders in `~/.claude/skills`.
fn read_skills(block: &Block) -> Result<Vec<String>, UserError> {
    let Some(member) = block.get("skills") else { return Ok(Vec::new()) };
    let names = block.strings(member)?;
    if names.len() > MAX_SKILLS {
        return Err(block.error(member, format_args!("more than {MAX_SKILLS}")));
    }
    let mut skills: Vec<String> = Vec::new();
    for (_, name) in names {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if name.len() > MAX_SKILL_NAME_CHARS
            || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !name.bytes().all(fine)
        {
            let what = format!("`{}` is no name of a folder in `~/.claude/skills`", excerpt(name));
            return Err(block.error(member, what));
        }
        if skills.iter().any(|skill| skill == name) {
            return Err(block.error(member, format_args!("`{name}` stands here twice")));
        }
        skills.push(name.to_string());
    }
    Ok(skills)
}
