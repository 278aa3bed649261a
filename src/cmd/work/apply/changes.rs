//! The uncommitted changes of a repository of the bottle: what the reader answers, and what of it comes to the repository
//! here.

use super::patch::{Applied, Patch};
use crate::cmd::home_reader::HomeReader;
use crate::cmd::work::SessionWork;
use crate::cmd::work::file_consent::FileConsent;
use crate::cmd::work::place::{LocalPlace, path_below};
use crate::exit::{Exit, UserError};
use crate::git::CleanRepository;
use crate::hint;
use crate::say;
use crate::state::BroughtChanges;
use crate::state::budget::MAX_REMEMBERED_PATCH_BYTES;
use crate::text;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use wire::{AppliedChanges, Blob, Elsewhere};

/// Longest first line of an answer, in bytes: `base` and the id of a commit.
const MAX_FIRST_LINE_BYTES: u64 = 256;
const NOT_UNDERSTOOD: &str = "the reader is not understood";

/// Applies the changes of one repository that are not here yet; breaks with an exit code after a signal.
///
/// # Errors
/// `UserError` for changes that do not apply, or that conflict.
pub fn apply(
    session: &SessionWork,
    reader: &HomeReader,
    name: &str,
    consent: &mut FileConsent,
) -> Result<ControlFlow<Exit>> {
    let mut made = None;
    let repository = match session.place_of(name)? {
        LocalPlace::Here(found) => found,
        LocalPlace::Absent(place) => made.insert(place.make("sha1")?).open()?,
    };
    let repository = repository.with_user_data()?;
    let top = &repository.repository.top;
    // One that was brought to the repository around has another place.
    let below = Some(path_below(name)?).filter(|below| top.ends_with(below)).unwrap_or_default();
    let mut brought = session.folder.brought();
    let mut host = Elsewhere::default();
    host.changes.extend(brought.applied(name, &repository)?.map(|applied| (name.to_owned(), applied)));
    let is_pair = !host.changes.is_empty();
    let told = if is_pair { serde_json::to_vec(&host)? } else { Vec::new() };
    let answer = reader.answer_in_file(&["work", "patch", name], told, session.folder.path())?;
    let changes = match answer {
        Some(file) => Changes::open(file.into_file(), is_pair, &repository)?,
        None => None,
    };
    let Some(changes) = changes else {
        say::note(&format!("no uncommitted changes in `{}`", text::one_line(name)));
        return Ok(ControlFlow::Continue(()));
    };
    let identity = &session.plan.identity;
    match &made {
        Some(new) if changes.whole.base.is_some() => return Err(not_here(&new.path(), identity, name).into()),
        _ => changes.whole.check_base(identity)?,
    }
    let applied = match changes.missing()? {
        Some(patch) => match patch.apply(consent.of_repository(&below), identity)? {
            ControlFlow::Continue(applied) => applied,
            ControlFlow::Break(exit) => return Ok(ControlFlow::Break(exit)),
        },
        None => {
            say::note(&format!("`{}` has the changes already", text::path(top)));
            Applied::default()
        }
    };
    match &mut made {
        // Without a file of it, the repository goes again.
        Some(_) if applied.files.is_empty() => return Ok(ControlFlow::Continue(())),
        Some(new) => new.keep(),
        None => {}
    }
    let is_remembered = changes.bytes.len() as u64 <= MAX_REMEMBERED_PATCH_BYTES;
    if is_remembered {
        let left_out = applied.left_out.iter().map(|path| Blob(path.as_os_str().as_bytes().to_vec())).collect();
        let now = AppliedChanges { base: changes.whole.base.clone(), left_out, patch: Blob(changes.bytes) };
        brought.note_changes(name, top, BroughtChanges { applied: now, files: applied.files });
        session.folder.set_brought(&brought)?;
    } else {
        say::line("the changes are too large to be remembered: the next `work apply` brings all of them again");
    }
    match applied.conflict {
        Some(error) => Err(error.into()),
        None => Ok(ControlFlow::Continue(())),
    }
}

fn not_here(path: &Path, identity: &str, name: &str) -> UserError {
    UserError::new(format!("no git repository is at `{}`", text::path(path))).hint(hint!(
        "`claude-bottle work fetch {} {}` brings it",
        identity,
        name
    ))
}

struct Changes<'a> {
    /// Those that were not applied here yet, or were taken back; `None` where none was applied.
    new: Option<Patch<'a>>,
    /// All changes that the bottle has.
    whole: Patch<'a>,
    /// The text of `whole`, up to one byte more than is remembered.
    bytes: Vec<u8>,
}

impl<'a> Changes<'a> {
    /// Reads an answer: a line with the commit, one patch, or two of them and the length of the first. `None`: no changes.
    fn open(mut file: File, is_pair: bool, repository: &'a CleanRepository) -> Result<Option<Changes<'a>>> {
        file.seek(SeekFrom::Start(0))?;
        let mut first = String::new();
        BufReader::new(&file).take(MAX_FIRST_LINE_BYTES).read_line(&mut first)?;
        let base = first.strip_prefix("base ").context(NOT_UNDERSTOOD)?.trim_end();
        let base = (base != "none").then(|| base.to_owned());
        let mut start = first.len() as u64;
        let mut new = None;
        if is_pair {
            let length = take_length(&mut file, start)?;
            file.seek(SeekFrom::Start(start))?;
            let mut part = tempfile::tempfile()?;
            std::io::copy(&mut (&file).take(length), &mut part)?;
            new = Some(Patch::open(part, 0, base.clone(), repository)?);
            start += length;
        }
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&file).take(MAX_REMEMBERED_PATCH_BYTES + 1).read_to_end(&mut bytes)?;
        let whole = Patch::open(file, start, base, repository)?;
        let is_none = whole.is_empty() && new.as_ref().is_none_or(Patch::is_empty);
        Ok((!is_none).then_some(Changes { new, whole, bytes }))
    }

    /// What is to be applied. `None` where everything is here.
    fn missing(&self) -> Result<Option<&Patch<'a>>> {
        let Some(new) = &self.new else { return Ok(Some(&self.whole)) };
        let new = Some(new).filter(|new| !new.is_empty());
        if let Some(new) = new
            && new.fits(&[])?
        {
            return Ok(Some(new));
        }
        let is_here = !self.whole.is_empty() && self.whole.fits(&["--reverse"])?;
        Ok(new.filter(|_| !is_here))
    }
}

/// Takes the length of the first of two patches off the end of the file.
fn take_length(file: &mut File, start: u64) -> Result<u64> {
    let end = file.metadata()?.len().checked_sub(wire::LENGTH_DIGITS as u64 + 1).filter(|end| *end >= start);
    let end = end.context(NOT_UNDERSTOOD)?;
    file.seek(SeekFrom::Start(end))?;
    let mut digits = String::new();
    file.read_to_string(&mut digits).context(NOT_UNDERSTOOD)?;
    file.set_len(end)?;
    let length: u64 = digits.trim_end().parse().context(NOT_UNDERSTOOD)?;
    Some(length).filter(|length| *length <= end - start).context(NOT_UNDERSTOOD)
}
