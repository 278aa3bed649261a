//! `approve` of packages: the session gets a Dockerfile of its own, and a bottle that runs ends for its resume to build it.

use super::consent::Confirmation;
use super::text_editor::{self, Edited, EditedText};
use crate::cli::ApproveArgs;
use crate::exit::{Exit, UserError};
use crate::hint;
use crate::render;
use crate::say;
use crate::supervise::{Decidable, Deed};
use anyhow::Result;
use sys::signals::Signals;
use wire::{Change, Packages};

pub fn run(asked: &ApproveArgs, wanted: &mut Decidable, packages: &Packages, signals: &Signals) -> Result<Exit> {
    if asked.once || asked.save || asked.widen.is_some() {
        return Err(UserError::new("packages are approved for the session, and for nothing else")
            .hint("leave `--once`, `--save` and `--widen` out")
            .into());
    }
    let mut dockerfile = wanted.dockerfile_with(packages)?;
    let before = wanted.session.dockerfile.as_deref();
    if asked.edit {
        let check = |text: &str| match text.trim().is_empty() {
            true => Err(UserError::new("the Dockerfile is empty")),
            false => Ok(text.to_owned()),
        };
        let edited = EditedText {
            text: &dockerfile,
            what: "a Dockerfile",
            suffix: ".Dockerfile",
            without_terminal: "leave `--edit` out",
        };
        match text_editor::edit(&edited, check, signals)? {
            Edited::Done(edited) => dockerfile = edited,
            Edited::Left(exit) => return Ok(exit),
        }
    }
    let runs = wanted.session.runs()?;
    if !asked.yes || !say::is_quiet() {
        say::plan(&render::packages(&wanted.change, wanted.words.as_deref(), before, &dockerfile));
    }
    let confirmation = Confirmation { yes: asked.yes, signals };
    let question = match runs {
        true => "approve this, and end the bottle for it? [y/N] ",
        false => "approve this for the next resume? [y/N] ",
    };
    if let Some(exit) = confirmation.ask(question)? {
        return Ok(exit);
    }
    let change = Change::Packages(packages.clone());
    let deed = wanted.session.rebuild(&change, &dockerfile)?;
    let identity = &wanted.session.folder.identity;
    say::note(&match deed {
        Deed::InForce => format!("approved: `{identity}` has ended, and is kept; its resume builds the image"),
        Deed::AtResume => format!("approved: the resume of `{identity}` builds the image"),
    });
    say::suggest(hint!("claude-bottle resume {}", identity));
    Ok(Exit::OK)
}
