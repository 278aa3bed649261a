//! One agent as written. A directory's agent is a stranger's: it may say who it is, never what gets in or out.

use super::block::{Block, bad_name, is_name, listed, refuse};
use super::bottle::read_user;
use super::json::{Member, Value, visible};
use super::{Agent, Prompt, Scope, keys, place};
use crate::exit::UserError;
use std::path::{Component, Path, PathBuf};

pub fn read(file: &Path, member: &Member, from: Scope) -> Result<Agent, UserError> {
    if !is_name(&member.key) {
        return Err(refuse(file, member.at.line, bad_name(&member.key)));
    }
    let block = match from {
        Scope::Home => Block::open(file, &member.node, &keys::AGENT)?,
        Scope::Directory => {
            strangers(file, member)?;
            Block::open(file, &member.node, &keys::DIRECTORY_AGENT)?
        }
    };
    let mut agent = Agent {
        name: member.key.clone(),
        file: file.to_path_buf(),
        line: member.at.line,
        scope: from,
        hides: None,
        bottle: block.text(block.need("bottle")?)?.to_string(),
        command: block.get("command").map(|member| block.command(member)).transpose()?,
        prompt: read_prompt(&block, from)?,
        skills: read_skills(&block)?,
        claude_md: false,
        settings: serde_json::Map::new(),
        git_user: None,
    };
    if from == Scope::Home {
        agent.claude_md = block.flag("claude_md")?.is_some_and(|(_, on)| on);
        agent.settings = block.map("settings")?.iter().map(|m| (m.key.clone(), m.node.plain())).collect();
        agent.git_user = match block.object("git", &keys::AGENT_GIT)? {
            Some(git) => read_user(&git)?,
            None => None,
        };
    }
    Ok(agent)
}

/// Keys that only the home may use.
fn strangers(file: &Path, member: &Member) -> Result<(), UserError> {
    let Value::Object(members) = &member.node.value else { return Ok(()) };
    let accepted = keys::DIRECTORY_AGENT.keys;
    let theirs = |m: &&Member| keys::AGENT.keys.contains(&m.key.as_str()) && !accepted.contains(&m.key.as_str());
    let Some(wrong) = members.iter().find(theirs) else { return Ok(()) };
    let what = format!(
        "`{}` in a directory's agent: a cloned repository does not decide that; accepted are {}",
        wrong.key,
        listed(accepted.iter().copied(), " and ")
    );
    Err(refuse(file, wrong.at.line, what)
        .hint(format!("an agent with `{}` belongs in the home's `claude-bottle.json`", wrong.key)))
}

fn read_prompt(block: &Block, from: Scope) -> Result<Option<Prompt>, UserError> {
    let Some(member) = block.get("prompt_file") else {
        return Ok(block.word("prompt")?.map(|text| Prompt::Text(text.into())));
    };
    if block.get("prompt").is_some() {
        return Err(block.refuse(member, "not beside `prompt`: one of the two is wanted"));
    }
    let text = block.text(member)?;
    let root = block.file.parent().unwrap_or(Path::new("/")).to_path_buf();
    let path = PathBuf::from(text);
    match from {
        Scope::Home => {
            place(block.file, text).map_err(|why| block.refuse(member, why))?;
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
            return Err(block.refuse(member, format_args!("`{}` {why}", visible(text))));
        }
    }
    Ok(Some(Prompt::File { root, path }))
}

fn read_skills(block: &Block) -> Result<Vec<String>, UserError> {
    let Some(member) = block.get("skills") else { return Ok(Vec::new()) };
    let mut skills: Vec<String> = Vec::new();
    for (_, name) in block.words(member)? {
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if name.len() > 64 || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.bytes().all(fine) {
            let what = format!("`{}` is no name of a folder in `~/.claude/skills`", visible(name));
            return Err(block.refuse(member, what));
        }
        if skills.iter().any(|skill| skill == name) {
            return Err(block.refuse(member, format_args!("`{name}` stands here twice")));
        }
        skills.push(name.to_string());
    }
    Ok(skills)
}
