//! One bottle as written, before it inherits from those that it extends.

use super::block::{Block, bad_name, error_at, is_name};
use super::json::{Member, excerpt};
use super::limits::{self, LimitsDraft};
use super::route::{self, RouteDraft};
use super::supervise::{self, SuperviseDraft};
use super::{EnvValue, GitUser, Image, OnHangup, Remote, SeccompChoice, env, git, keys, resolve_path};
use crate::exit::UserError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A bottle with what it states itself; `u32` are lines of the file.
#[derive(Debug, Clone, Default)]
pub struct BottleDraft {
    pub extends: Vec<(u32, String)>,
    pub image: Option<Image>,
    pub env: BTreeMap<String, (u32, EnvValue)>,
    pub routes: Vec<RouteDraft>,
    pub user: Option<GitUser>,
    pub cwd_user: Option<bool>,
    pub remotes: Vec<(u32, Remote)>,
    pub signing_key: Option<PathBuf>,
    pub supervise: SuperviseDraft,
    pub limits: LimitsDraft,
    pub on_hangup: Option<OnHangup>,
    pub seccomp: Option<SeccompChoice>,
    pub cwd_agents: Option<(u32, bool)>,
}

/// Reads the bottle that `member` defines.
///
/// # Errors
/// `UserError` for the first thing that is wrong in it.
pub fn read(file: &Path, member: &Member) -> Result<BottleDraft, UserError> {
    if !is_name(&member.key) {
        return Err(error_at(file, member.at.line, bad_name(&member.key)));
    }
    let block = Block::open(file, &member.node, &keys::BOTTLE)?;
    let mut draft = BottleDraft::default();
    if let Some(member) = block.get("extends") {
        draft.extends = block.strings(member)?.into_iter().map(|(line, name)| (line, name.to_string())).collect();
    }
    draft.image = block.object("image", &keys::IMAGE)?.map(|image| read_image(&image)).transpose()?;
    for member in block.map("env")? {
        draft.env.insert(member.key.clone(), (member.at.line, env::read(file, member)?));
    }
    if let Some(egress) = block.object("egress", &keys::EGRESS)? {
        let routes = egress.array("routes")?;
        draft.routes = routes.iter().map(|node| route::read(file, node)).collect::<Result<_, _>>()?;
    }
    if let Some(block) = block.object("git", &keys::GIT)? {
        draft.user = git::read_user(&block)?;
        draft.cwd_user = block.boolean("cwd_user")?.map(|(_, on)| on);
        draft.remotes = git::read_remotes(&block)?;
        draft.signing_key = git::read_signing_key(&block)?;
    }
    draft.supervise = supervise::read(&block)?;
    if let Some(limits) = block.object("limits", &keys::LIMITS)? {
        draft.limits = limits::read(&limits)?;
    }
    draft.on_hangup = block.choice("on_hangup", &[("stop", OnHangup::Stop), ("detach", OnHangup::Detach)])?;
    draft.seccomp = block.choice("seccomp", &[("own", SeccompChoice::Own), ("engine", SeccompChoice::Engine)])?;
    draft.cwd_agents = block.boolean("cwd_agents")?;
    Ok(draft)
}

/// Reads `image` of a bottle.
fn read_image(block: &Block) -> Result<Image, UserError> {
    match (block.get("name"), block.get("dockerfile")) {
        (Some(member), None) => {
            block.forbid(&["context"], "belongs to `dockerfile`")?;
            let name = block.string(member)?;
            let fine = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b);
            if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.bytes().all(fine) {
                return Err(block.error(member, format_args!("`{}` is no name of an image", excerpt(name))));
            }
            Ok(Image::Name(name.to_string()))
        }
        (None, Some(member)) => {
            let path = resolve_path(block.file, block.string(member)?).map_err(|why| block.error(member, why))?;
            let context = match block.get("context") {
                Some(member) => {
                    Some(resolve_path(block.file, block.string(member)?).map_err(|why| block.error(member, why))?)
                }
                None => None,
            };
            Ok(Image::Dockerfile { path, context })
        }
        (Some(_), Some(member)) => Err(block.error(member, "not beside `name`: one of the two is wanted")),
        (None, None) => {
            Err(error_at(block.file, block.line, "`image` without `name` or `dockerfile`: one of the two is wanted"))
        }
    }
}
