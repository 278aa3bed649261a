//! What an agent is given of the host: the text of its prompt, its skills, the user's CLAUDE.md, the terminal's variables.

use super::variable;
use crate::exit::UserError;
use crate::facts::{AgentFacts, SkillFile};
use crate::manifest::{self, Agent};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What the agent gets of the host's files: prompt, skills, CLAUDE.md, and the terminal's variables.
///
/// # Errors
/// `UserError` for a prompt file, skill or CLAUDE.md that is missing or leaves its folder.
pub fn agent(agent: &Agent) -> Result<AgentFacts, UserError> {
    let claude = dirs::home_dir().unwrap_or_default().join(".claude");
    let prompt = agent.prompt.as_ref().map(|prompt| manifest::read_prompt(prompt, agent.scope)).transpose()?;
    let mut skills = Vec::new();
    for name in &agent.skills {
        let folder = claude.join("skills").join(name);
        if !folder.is_dir() {
            return Err(UserError::new(format!("no skill `{name}`: `{}` is not a folder", folder.display())));
        }
        let root = folder.canonicalize().map_err(|e| UserError::unreadable(&folder, &e))?;
        collect(&Skill { name, root: &root }, &root, &mut skills)?;
    }
    let claude_md = match agent.claude_md {
        true => Some(claude.join("CLAUDE.md")),
        false => None,
    };
    if let Some(path) = claude_md.as_deref().filter(|path| !path.is_file()) {
        return Err(UserError::new(format!("`claude_md` is true, and there is no `{}`", path.display())));
    }
    let wanted = ["TERM", "COLORTERM", "TZ"];
    let mut terminal: BTreeMap<_, _> = wanted.iter().filter_map(|n| Some(((*n).to_owned(), variable(n)?))).collect();
    terminal.entry("TERM".to_owned()).or_insert_with(|| "xterm-256color".to_owned());
    if !terminal.contains_key("TZ") {
        terminal.extend(local_zone().map(|zone| ("TZ".to_owned(), zone)));
    }
    Ok(AgentFacts { prompt, skills, claude_md, terminal })
}

struct Skill<'a> {
    name: &'a str,
    root: &'a Path,
}

/// Files of all skills of an agent together.
const MAX_SKILL_FILES: usize = 4096;
/// Bytes of one file of a skill.
const MAX_SKILL_FILE_BYTES: u64 = 16 << 20;

/// Adds the regular files below `folder` to `files`, sorted.
///
/// # Errors
/// `UserError` for a symlink that leaves the skill (it would carry any file of the host in) or names a folder, and
/// above the limits.
fn collect(skill: &Skill, folder: &Path, files: &mut Vec<SkillFile>) -> Result<(), UserError> {
    use std::os::unix::fs::PermissionsExt;
    let mut entries: Vec<_> =
        fs::read_dir(folder).and_then(Iterator::collect).map_err(|e| UserError::unreadable(folder, &e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let target = path.canonicalize().map_err(|e| UserError::unreadable(&path, &e))?;
        let Ok(inside) = path.strip_prefix(skill.root) else { continue };
        if !target.starts_with(skill.root) {
            return Err(UserError::new(format!("skill `{}`: `{}` leaves the skill", skill.name, inside.display())));
        }
        let meta = fs::metadata(&target).map_err(|e| UserError::unreadable(&path, &e))?;
        if meta.is_dir() {
            if target != path {
                return Err(UserError::new(format!(
                    "skill `{}`: `{}` links to a folder",
                    skill.name,
                    inside.display()
                )));
            }
            collect(skill, &path, files)?;
        } else if meta.is_file() {
            let Some(inside) = inside.to_str() else {
                return Err(UserError::new(format!("skill `{}`: `{}` is not UTF-8", skill.name, inside.display())));
            };
            if files.len() >= MAX_SKILL_FILES || meta.len() > MAX_SKILL_FILE_BYTES {
                return Err(UserError::new(format!("skill `{}`: too many or too large files", skill.name)));
            }
            let mode = if meta.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
            files.push(SkillFile { path: format!("{}/{inside}", skill.name), from: target, mode });
        }
    }
    Ok(())
}

/// The host's time zone, as in `Europe/Berlin`, from the link at /etc/localtime.
fn local_zone() -> Option<String> {
    let link = fs::read_link("/etc/localtime").ok()?;
    Some(link.to_str()?.split_once("zoneinfo/")?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skill_is_its_own_files_and_no_other() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("review");
        fs::create_dir_all(root.join("more")).unwrap();
        fs::write(root.join("SKILL.md"), "Look twice.").unwrap();
        fs::write(root.join("more/table"), "1").unwrap();
        fs::write(folder.path().join("secret"), "s3cret").unwrap();
        let names = || -> Result<Vec<String>, String> {
            let mut files = Vec::new();
            collect(&Skill { name: "review", root: &root }, &root, &mut files).map_err(|error| error.what)?;
            Ok(files.into_iter().map(|file| file.path).collect())
        };
        symlink("SKILL.md", root.join("again")).unwrap();
        assert_eq!(names().unwrap(), ["review/SKILL.md", "review/again", "review/more/table"]);
        for (target, why) in
            [("../secret", "leaves the skill"), ("/etc", "leaves the skill"), ("more", "links to a folder")]
        {
            symlink(target, root.join("way-out")).unwrap();
            assert_eq!(names().unwrap_err(), format!("skill `review`: `way-out` {why}"));
            fs::remove_file(root.join("way-out")).unwrap();
        }
    }
}
