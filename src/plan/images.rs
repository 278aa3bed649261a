//! The images that a bottle needs. A tag is the digest of everything that its image is made of, so a tag that the engine
//! has is up to date.

use crate::facts::{Facts, GateBinary, ImageFacts, digest};
use crate::manifest::{Bottle, Image};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const GATE_DOCKERFILE: &str = include_str!("../images/gate.Dockerfile");
const GIT_DOCKERFILE: &str = include_str!("../images/git.Dockerfile");
const AGENT_DOCKERFILE: &str = include_str!("../images/agent.Dockerfile");
const SESSION_DOCKERFILE: &str = include_str!("../images/finish.Dockerfile");

/// The repository of the default agent image: what users write after FROM.
pub const AGENT_REPOSITORY: &str = "claude-bottle-agent";

/// The argument of a build that names its base image.
pub const BASE_ARGUMENT: &str = "BASE";

/// The tags that the two containers use, and how each image is built, in order.
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
    /// `None`: the plan was written before builds had a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<ImageRole>,
    pub tag: String,
    /// A second tag, which moves to the newest image.
    pub also: Option<String>,
    pub dockerfile: Dockerfile,
    pub args: BTreeMap<String, String>,
    pub context: BuildContext,
}

/// What an image is for. A tag does not tell: a bottle's name is part of the tag of its own image, and a bottle may be
/// named `gate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageRole {
    /// The gate runs in it.
    Gate,
    /// The default image for agents.
    Agent,
    /// The bottle's own Dockerfile, usually on top of the default image.
    Bottle,
    /// Packages that were approved for a session, on top of its bottle's image.
    Packages,
    /// The agent runs in it: the last link of the chain.
    Session,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dockerfile {
    Text(String),
    Path(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildContext {
    /// Name in the context → file of the host. May be empty.
    Files(BTreeMap<String, PathBuf>),
    Folder(PathBuf),
}

impl Images {
    /// The tags of all images that are to be built.
    pub fn tags(&self) -> Vec<String> {
        self.builds.iter().map(|build| build.tag.clone()).collect()
    }

    /// Leaves out the builds that are not needed: the gate's image where the engine has it, the agent's whole chain where
    /// it has the last link, and otherwise those links that it has.
    fn keep_missing(mut self, missing: &BTreeSet<String>) -> Images {
        let lacks_session = missing.contains(&self.agent);
        self.builds
            .retain(|build| missing.contains(&build.tag) && (lacks_session || build.role == Some(ImageRole::Gate)));
        self
    }
}

/// The images of a plan: all of them, or those that the engine lacks where it was asked.
pub fn images(bottle: &Bottle, facts: &Facts) -> Images {
    let chain = chain(bottle, &facts.images);
    match &facts.missing {
        Some(missing) => chain.keep_missing(missing),
        None => chain,
    }
}

/// The gate's image and the chain that ends in the agent's, with every build of both.
pub fn chain(bottle: &Bottle, facts: &ImageFacts) -> Images {
    let roots = || BTreeMap::from([("ca-bundle.crt".to_owned(), facts.roots.clone())]);
    let base = || BTreeMap::from([(BASE_ARGUMENT.to_owned(), facts.base.clone())]);
    let text = |text: &str| Dockerfile::Text(text.to_owned());
    let mut builds = Vec::new();

    let gate = facts.gate.as_ref().map(|program| match bottle.remotes.is_empty() {
        true => gate_build(program),
        false => git_build(facts, program),
    });
    let gate = match gate {
        Ok(build) => {
            let tag = build.tag.clone();
            builds.push(build);
            tag
        }
        Err(_) => "claude-bottle-gate:not-found".to_owned(),
    };

    let default = tag(AGENT_REPOSITORY, &[AGENT_DOCKERFILE, &facts.base]);
    // An image that the user names is built on none of ours.
    if !matches!(&bottle.image, Image::Name(name) if name.split([':', '@']).next() != Some(AGENT_REPOSITORY)) {
        builds.push(Build {
            role: Some(ImageRole::Agent),
            tag: default.clone(),
            also: Some(format!("{AGENT_REPOSITORY}:latest")),
            dockerfile: text(AGENT_DOCKERFILE),
            args: base(),
            context: BuildContext::Files(roots()),
        });
    }

    let (unfinished, source) = match &bottle.image {
        Image::Default => (default.clone(), "default".to_owned()),
        Image::Name(name) => (name.clone(), name.clone()),
        Image::Dockerfile { path, context } => {
            let tag = tag(&format!("claude-bottle-{}", bottle.name), &[&facts.source, &default]);
            let context = match context {
                Some(folder) => BuildContext::Folder(folder.clone()),
                None => BuildContext::Files(BTreeMap::new()),
            };
            builds.push(Build {
                role: Some(ImageRole::Bottle),
                tag: tag.clone(),
                also: None,
                dockerfile: Dockerfile::Path(path.clone()),
                args: BTreeMap::new(),
                context,
            });
            (tag, path.display().to_string())
        }
    };
    let (unfinished, source) = match &facts.packages {
        None => (unfinished, source),
        Some(packages) => {
            let tag = tag("claude-bottle-packages", &[packages, &unfinished, &facts.source]);
            builds.push(Build {
                role: Some(ImageRole::Packages),
                tag: tag.clone(),
                also: None,
                dockerfile: text(packages),
                args: BTreeMap::from([("FROM_IMAGE".to_owned(), unfinished)]),
                context: BuildContext::Files(roots()),
            });
            (tag, format!("{source}, with the packages approved for this session"))
        }
    };
    let uid = facts.agent_uid.to_string();
    let agent = tag("claude-bottle-session", &[SESSION_DOCKERFILE, &unfinished, &facts.source, &uid]);
    builds.push(Build {
        role: Some(ImageRole::Session),
        tag: agent.clone(),
        also: None,
        dockerfile: text(SESSION_DOCKERFILE),
        args: BTreeMap::from([("FROM_IMAGE".to_owned(), unfinished), ("AGENT_UID".to_owned(), uid)]),
        context: BuildContext::Files(BTreeMap::new()),
    });
    Images { gate, agent, source, builds }
}

/// The image for a gate without remotes.
pub fn gate_build(program: &GateBinary) -> Build {
    let digest = format!("{:016x}", program.digest);
    Build {
        role: Some(ImageRole::Gate),
        tag: tag("claude-bottle-gate", &[GATE_DOCKERFILE, &digest]),
        also: None,
        dockerfile: Dockerfile::Text(GATE_DOCKERFILE.to_owned()),
        args: BTreeMap::new(),
        context: BuildContext::Files(BTreeMap::from([("claude-bottle-gate".to_owned(), program.path.clone())])),
    }
}

/// The image for a gate with remotes, and for readers.
pub fn git_build(facts: &ImageFacts, program: &GateBinary) -> Build {
    let digest = format!("{:016x}", program.digest);
    let files = [("ca-bundle.crt", &facts.roots), ("claude-bottle-gate", &program.path)];
    Build {
        role: Some(ImageRole::Gate),
        tag: tag("claude-bottle-git", &[GIT_DOCKERFILE, &facts.base, &digest]),
        also: None,
        dockerfile: Dockerfile::Text(GIT_DOCKERFILE.to_owned()),
        args: BTreeMap::from([(BASE_ARGUMENT.to_owned(), facts.base.clone())]),
        context: BuildContext::Files(files.map(|(name, path)| (name.to_owned(), path.clone())).into()),
    }
}

fn tag(repository: &str, parts: &[&str]) -> String {
    format!("{repository}:{:016x}", digest(parts.join("\0").as_bytes()))
}
