//! Who commits in a directory of the host's: `user.name` and `user.email`, as git of the user would take them there.

use super::Git;
use super::repository::Repository;
use super::settings::of_the_user;
use crate::exit::UserError;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use sys::git::config;

/// Longest name or address, in characters.
const MAX_CHARS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    pub name: String,
    pub email: String,
}

impl Author {
    /// The author in this repository, or in none. `None` where a name or an address is missing, or is no text of one line.
    ///
    /// # Errors
    /// `UserError` if git cannot be run.
    pub fn effective(repository: Option<&Repository>) -> Result<Option<Author>, UserError> {
        let mut settings = Vec::new();
        for (key, value) in of_the_user()? {
            match repository.and_then(|repository| included(&key, &value, repository)) {
                Some(file) => settings.extend(with_includes(&file)?),
                None => settings.push((key, value)),
            }
        }
        settings.extend(repository.map(|repository| repository.settings.all.clone()).unwrap_or_default());
        let last =
            |wanted: &str| settings.iter().rfind(|(key, _)| key == wanted).map(|(_, value)| value.trim().to_owned());
        let is_plain = |text: &String| {
            !text.is_empty()
                && text.chars().count() <= MAX_CHARS
                && !text.chars().any(|c| c.is_control() || "<>".contains(c))
        };
        let (name, email) = (last("user.name").filter(is_plain), last("user.email").filter(is_plain));
        Ok(name.zip(email).map(|(name, email)| Author { name, email }))
    }
}

/// The file that `includeIf "gitdir:FOLDER"` of the user's names for this repository. Other conditions, patterns with wildcards
/// and files that are not absolute count as unmet.
fn included(key: &str, value: &str, repository: &Repository) -> Option<PathBuf> {
    let folder = key.strip_prefix("includeif.gitdir:")?.strip_suffix(".path")?;
    let absolute = |text: &str| match text.strip_prefix("~/") {
        Some(below) => dirs::home_dir().map(|home| home.join(below)),
        None => Some(PathBuf::from(text)).filter(|path| path.is_absolute()),
    };
    let (folder, is_tree) =
        folder.strip_suffix("/**").or(folder.strip_suffix('/')).map_or((folder, false), |it| (it, true));
    if folder.contains(['*', '?', '[', '\\']) {
        return None;
    }
    let folder = absolute(folder)?;
    let folder = folder.canonicalize().unwrap_or(folder);
    let is_met = if is_tree { repository.own.starts_with(&folder) } else { repository.own == folder };
    is_met.then(|| absolute(value)).flatten()
}

/// The settings of a file of the user's, with what it includes.
fn with_includes(file: &Path) -> Result<Vec<(String, String)>, UserError> {
    let list = ["config", "--includes", "--list", "-z", "--file"];
    Ok(config::parse(&Git::of_the_user().args(list).args([file]).run(Vec::new())?.stdout))
}
