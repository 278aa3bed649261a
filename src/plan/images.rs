//! Which images the bottle needs, named by what they are made of: a tag that exists is current.

use crate::facts::{Facts, digest};
use crate::manifest::{Bottle, Image};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const GATE: &str = include_str!("../images/gate.Dockerfile");
const AGENT: &str = include_str!("../images/agent.Dockerfile");
const FINISH: &str = include_str!("../images/finish.Dockerfile");

/// What users write behind FROM.
pub const AGENT_NAME: &str = "claude-bottle-agent";

/// Tags, and how each that is missing is made, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    pub gate: String,
    pub agent: String,
    /// What the user asked for: `default`, a name or a Dockerfile.
    pub source: String,
    pub builds: Vec<Build>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    pub tag: String,
    /// A second, moving name.
    pub also: Option<String>,
    pub dockerfile: Dockerfile,
    pub args: BTreeMap<String, String>,
    pub context: Context,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dockerfile {
    Text(String),
    Path(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Context {
    /// Name in the context → file of the host. May be empty.
    Files(BTreeMap<String, PathBuf>),
    Folder(PathBuf),
}

/// Only builds that are missing (or not known to be there) are named.
pub fn images(bottle: &Bottle, facts: &Facts) -> Images {
    let base = &facts.images.base;
    let roots = || BTreeMap::from([("ca-bundle.crt".to_owned(), facts.images.roots.clone())]);
    let text = |text: &str| Dockerfile::Text(text.to_owned());
    let mut builds = Vec::new();

    let gate = match &facts.images.gate {
        Ok(binary) => {
            let tag = tag("claude-bottle-gate", &[GATE, base, &format!("{:016x}", binary.digest)]);
            let mut files = roots();
            files.insert("claude-bottle-gate".to_owned(), binary.path.clone());
            let args = BTreeMap::from([("BASE".to_owned(), base.clone())]);
            let context = Context::Files(files);
            builds.push(Build { tag: tag.clone(), also: None, dockerfile: text(GATE), args, context });
            tag
        }
        Err(_) => "claude-bottle-gate:not-found".to_owned(),
    };

    let default = tag(AGENT_NAME, &[AGENT, base]);
    // A user's own image by name needs nothing of ours beneath it.
    if !matches!(&bottle.image, Image::Name(name) if name.split([':', '@']).next() != Some(AGENT_NAME)) {
        let args = BTreeMap::from([("BASE".to_owned(), base.clone())]);
        let also = Some(format!("{AGENT_NAME}:latest"));
        let context = Context::Files(roots());
        builds.push(Build { tag: default.clone(), also, dockerfile: text(AGENT), args, context });
    }

    let (unfinished, source) = match &bottle.image {
        Image::Default => (default.clone(), "default".to_owned()),
        Image::Name(name) => (name.clone(), name.clone()),
        Image::Dockerfile { path, context } => {
            let tag = tag(&format!("claude-bottle-{}", bottle.name), &[&facts.images.source, &default]);
            let context = match context {
                Some(folder) => Context::Folder(folder.clone()),
                None => Context::Files(BTreeMap::new()),
            };
            let dockerfile = Dockerfile::Path(path.clone());
            builds.push(Build { tag: tag.clone(), also: None, dockerfile, args: BTreeMap::new(), context });
            (tag, path.display().to_string())
        }
    };
    let agent = tag("claude-bottle-session", &[FINISH, &unfinished, &facts.images.source]);
    let args = BTreeMap::from([("FROM_IMAGE".to_owned(), unfinished.clone())]);
    let context = Context::Files(BTreeMap::new());
    builds.push(Build { tag: agent.clone(), also: None, dockerfile: text(FINISH), args, context });

    if let Some(missing) = &facts.missing {
        keep_needed(&mut builds, missing, &agent);
    }
    Images { gate, agent, source, builds }
}

/// The gate's when it is missing; the agent's chain only when its last link is.
fn keep_needed(builds: &mut Vec<Build>, missing: &BTreeSet<String>, agent: &str) {
    let chain = missing.contains(agent);
    builds.retain(|build| {
        let gate = build.tag.starts_with("claude-bottle-gate:");
        missing.contains(&build.tag) && (gate || chain)
    });
}

fn tag(name: &str, parts: &[&str]) -> String {
    format!("{name}:{:016x}", digest(parts.join("\0").as_bytes()))
}
