//! What was pushed to a local remote: the refs of the gate's repository, listed, and exported as a bundle. That repository
//! is read as one of the agent's is, because what is in it is the agent's.

use super::EXPORT_TIMEOUT;
use super::baseline::Baseline;
use super::clean::CleanRepository;
use super::export::{ExportedRef, print_bundle, read_have};
use super::git::lines;
use super::paths::WorkPaths;
use super::repository::Repository;
use super::run_within;
use crate::failure::Failure;
use std::io::Write;
use std::path::{Path, PathBuf};
use wire::{LOCAL_REPOSITORY, REPOSITORIES_DIR};

/// `pushed refs`: prints a line `ID REF` for each. `pushed bundle NAME`: prints a bundle of what the host lacks, as
/// `work bundle` does, with the refs below `remotes/NAME/`.
///
/// # Errors
/// Unknown arguments, a failed export, or one that took too long.
pub fn run(home: &Path, args: &[String]) -> Result<i32, Failure> {
    let (paths, args) = (WorkPaths::new(home), args.to_vec());
    let folder = Path::new(REPOSITORIES_DIR).join(LOCAL_REPOSITORY);
    let ended = run_within(EXPORT_TIMEOUT, move || export(&paths, folder, &args));
    ended.unwrap_or_else(|| Err(Failure("it took too long".into())))
}

fn export(paths: &WorkPaths, folder: PathBuf, args: &[String]) -> Result<i32, Failure> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    // It is made at its first use.
    let repository = folder.is_dir().then(|| Repository::open_bare(folder)).transpose()?;
    match (&words[..], repository) {
        (["refs"], None) => Ok(0),
        (["refs"], Some(repository)) => {
            let mut out = std::io::stdout();
            for (id, name) in refs(&repository)? {
                writeln!(out, "{id} {name}")?;
            }
            Ok(0)
        }
        (["bundle", name], repository) => {
            let have = read_have()?;
            let Some(repository) = repository else { return Ok(super::export::EXIT_NOTHING_NEW) };
            let kind = format!("remotes/{name}/");
            let exported = refs(&repository)?.into_iter().filter_map(|(id, full)| {
                let below = full.strip_prefix("refs/")?.as_bytes();
                Some(ExportedRef::new(id, &kind, below))
            });
            let baseline = Baseline::default();
            print_bundle(&CleanRepository::new(&repository, &baseline, paths)?, exported.collect(), &have)
        }
        _ => Err(Failure("init pushed does not know these words".into())),
    }
}

/// Ids and names of all refs.
fn refs(repository: &Repository) -> Result<Vec<(String, String)>, Failure> {
    let listed = repository.git().args(["for-each-ref", "--format=%(objectname) %(refname)"]).stdout(b"")?;
    let pair = |line: &String| line.split_once(' ').map(|(id, name)| (id.to_owned(), name.to_owned()));
    Ok(lines(&listed).iter().filter_map(pair).collect())
}
