//! The reader: a container that is made for one question about a session's home, or about what it has pushed to a local
//! remote. It has no network and cannot write.
//!
//! Every call of git on a repository of a bottle runs in there, because its `.git` may be hostile. The time of an answer is
//! bounded here, whatever goes on inside, and the container never outlives its question.

mod question;

use super::images;
use crate::docker::Docker;
use crate::exit::{EngineError, UserError};
use crate::plan::{Plan, ReadVolume};
use crate::state::budget::{MAX_ANSWER_BYTES, MAX_WORK_FILE_BYTES};
use crate::state::{Folder, Home};
use crate::text;
use anyhow::{Context as _, Result};
pub use question::{Question, failed};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use tempfile::NamedTempFile;
use wire::{Elsewhere, Work};

/// How `init` begins the line of an error.
const PROGRAM_PREFIX: &str = "claude-bottle: ";
/// The error for a reader that failed without a message.
const FAILED: &str = "the reader failed";
/// The exit code of `init` where there is nothing new.
const NOTHING_NEW: i32 = 3;
/// The exit code of `init` where it has no repository of the name that was asked for.
const UNKNOWN_REPOSITORY: i32 = 4;

pub struct HomeReader<'a> {
    docker: &'a Docker,
    plan: &'a Plan,
    folder: Folder,
    image: String,
    of: ReadVolume,
}

/// The size of a session's home.
#[derive(Debug, Serialize, Deserialize)]
pub struct HomeSize {
    pub files: u64,
    pub bytes: u64,
}

/// What of a session's work is nowhere else, as the directories say now to which it was brought. No image is built.
///
/// # Errors
/// Those of [`HomeReader::open_without_build`]; and `EngineError` where the home is gone, or the reader does not answer.
pub fn work_left(docker: &Docker, plan: &Plan, folder: &Folder) -> Result<Work> {
    let reader = HomeReader::open_without_build(docker, &Home::locate()?, plan)?;
    let reader = reader.ok_or_else(|| EngineError::new(format!("the home of `{}` is gone", plan.identity)))?;
    reader.work(&folder.brought().elsewhere())
}

impl<'a> HomeReader<'a> {
    /// A reader of the session's home; the image with git, in which it runs, is built where it is missing. `None` where the
    /// home is not on its engine.
    pub fn open(docker: &'a Docker, home: &Home, plan: &'a Plan) -> Result<Option<HomeReader<'a>>> {
        HomeReader::in_image(docker, home, plan, || images::git_image(docker, home))
    }

    /// A reader as [`HomeReader::open`] makes it, without building an image. Where there is none with git, it runs in the
    /// gate's, and can tell a size only.
    ///
    /// # Errors
    /// `UserError` where the gate's image is missing, too.
    pub fn open_without_build(docker: &'a Docker, home: &Home, plan: &'a Plan) -> Result<Option<HomeReader<'a>>> {
        HomeReader::in_image(docker, home, plan, || images::existing_image(docker, home))
    }

    fn in_image(
        docker: &'a Docker,
        home: &Home,
        plan: &'a Plan,
        image: impl FnOnce() -> Result<String>,
    ) -> Result<Option<HomeReader<'a>>> {
        // Mounting a volume that is missing would make it.
        match docker.has_volume(&plan.volume())? {
            true => {
                let folder = home.folder(&plan.identity);
                // The session may be older than the profiles, or than a change of them.
                folder.set_profiles()?;
                Ok(Some(HomeReader { docker, plan, folder, image: image()?, of: ReadVolume::Home }))
            }
            false => Ok(None),
        }
    }

    /// A reader of what the session has pushed to a local remote. `None` where nothing keeps it, or not any more.
    pub fn of_pushes(&self) -> Result<Option<HomeReader<'a>>> {
        let HomeReader { docker, plan, folder, image, .. } = self;
        let is_there = plan.keeps_pushes && docker.has_volume(&plan.pushes_volume())?;
        let of = ReadVolume::Pushes;
        Ok(is_there.then(|| HomeReader { docker, plan, folder: folder.clone(), image: image.clone(), of }))
    }

    /// What is in the home and nowhere else, and what was pushed to a local remote. `host`: what was brought here of it.
    pub fn work(&self, host: &Elsewhere) -> Result<Work> {
        let not_understood = "the reader is not understood";
        let told = if *host == Elsewhere::default() { Vec::new() } else { serde_json::to_vec(host)? };
        let work: Work = serde_json::from_slice(&self.answer(&["work", "report"], told)?).context(not_understood)?;
        let Some(reader) = self.of_pushes()? else { return Ok(work) };
        let pushed = String::from_utf8(reader.answer(&["pushed", "refs"], Vec::new())?).context(not_understood)?;
        let known: HashSet<String> = self.plan.tips().into_iter().chain(host.commits.iter().cloned()).collect();
        let new = pushed.lines().filter_map(|line| line.split(' ').next()).filter(|id| !known.contains(*id));
        Ok(Work { pushed: new.count() as u64, ..work })
    }

    /// How large the home is.
    pub fn size(&self) -> Result<HomeSize> {
        serde_json::from_slice(&self.answer(&["size"], Vec::new())?).context("the reader is not understood")
    }

    /// Asks; the answer is what the question reads. `words` follow `init`, which gets `stdin`.
    pub fn ask(&self, words: &[&str], stdin: Vec<u8>) -> Result<Question<'_>> {
        Question::ask(self, words, stdin)
    }

    /// The answer in a temporary file of `folder`; `None` where there is nothing new.
    pub fn answer_in_file(&self, words: &[&str], stdin: Vec<u8>, folder: &Path) -> Result<Option<NamedTempFile>> {
        let mut file = NamedTempFile::new_in(folder)?;
        let mut question = self.ask(words, stdin)?;
        let size = std::io::copy(&mut (&mut question).take(MAX_WORK_FILE_BYTES), &mut file).map_err(failed)?;
        if size == MAX_WORK_FILE_BYTES {
            let most = format!("the {} GiB that are taken at once", MAX_WORK_FILE_BYTES >> 30);
            return Err(UserError::new(format!("the bottle has more to give than {most}"))
                .hint("pack a part of it in the bottle, and bring it with `claude-bottle get`")
                .into());
        }
        match question.finish()? {
            (0, _) => Ok(Some(file)),
            (NOTHING_NEW, _) => Ok(None),
            (code, said) => Err(failure(code, said)),
        }
    }

    /// The answer in memory.
    pub fn answer(&self, words: &[&str], stdin: Vec<u8>) -> Result<Vec<u8>> {
        let mut question = self.ask(words, stdin)?;
        let mut answer = Vec::new();
        (&mut question).take(MAX_ANSWER_BYTES).read_to_end(&mut answer).map_err(failed)?;
        if answer.len() as u64 == MAX_ANSWER_BYTES {
            return Err(EngineError::new("the reader's answer is too long").into());
        }
        question.expect_success()?;
        Ok(answer)
    }
}

/// The error of a reader that ended with this code, and said this last.
fn failure(code: i32, said: String) -> anyhow::Error {
    match code {
        UNKNOWN_REPOSITORY => UserError::new(text::one_line(&said)).into(),
        _ => EngineError::new(said.strip_prefix(PROGRAM_PREFIX).unwrap_or(&said)).into(),
    }
}
