//! The settings of a repository, and of the user, that are data: each has one of a few values, and none names a program.

use super::Git;
use super::file::read_small;
use crate::exit::UserError;
use crate::text;
use std::path::{Path, PathBuf};
use sys::git::config::{self, BOOLEAN};

/// Settings of `core` that say how files are written, with the values that they may have.
const CORE: [(&str, &[&str]); 10] = [
    ("autocrlf", &["true", "false", "input"]),
    ("eol", &["lf", "crlf", "native"]),
    ("filemode", BOOLEAN),
    ("ignorecase", BOOLEAN),
    ("precomposeunicode", BOOLEAN),
    ("sharedrepository", &["group", "true", "1", "all", "world", "everybody", "2", "umask", "false", "0"]),
    ("sparsecheckout", BOOLEAN),
    ("sparsecheckoutcone", BOOLEAN),
    ("symlinks", BOOLEAN),
    ("trustctime", BOOLEAN),
];

/// Extensions that change nothing for a git that does not know them, or nothing that we use.
const HARMLESS_EXTENSIONS: [&str; 6] =
    ["noop", "noop-v1", "partialclone", "preciousobjects", "relativeworktrees", "worktreeconfig"];

#[derive(Debug, Default)]
pub struct Settings {
    /// It has no worktree.
    pub bare: bool,
    /// The worktree that it names.
    pub worktree: Option<PathBuf>,
    /// All settings as git lists them, of the repository's own files without what these include: key, value.
    pub all: Vec<(String, String)>,
    /// Lines of a configuration, with the data alone.
    pub data: String,
    /// Its refs are in the format of this name, if that is not `files`.
    pub ref_format: Option<String>,
}

impl Settings {
    /// Reads `config` of the git directory that worktrees share, and `config.worktree` of this one's own if it counts.
    ///
    /// # Errors
    /// `UserError` if git does not read them, or they ask for an extension that is not known here.
    pub fn read(own: &Path, shared: &Path) -> Result<Settings, UserError> {
        let mut all = parsed(&shared.join("config"))?;
        if all.iter().any(|(key, value)| key == "extensions.worktreeconfig" && is_true(value)) {
            all.extend(parsed(&own.join("config.worktree"))?);
        }
        let mut settings = Settings::default();
        for (key, value) in &all {
            match key.split_once('.') {
                Some(("core", "bare")) => settings.bare = is_true(value),
                Some(("core", "worktree")) => settings.worktree = Some(PathBuf::from(value)),
                Some(("extensions", "objectformat")) if ["sha1", "sha256"].contains(&&value[..]) => {}
                Some(("extensions", "refstorage")) if value == "files" => {}
                Some(("extensions", "refstorage")) if value == "reftable" => settings.ref_format = Some(value.clone()),
                Some(("extensions", name)) if !HARMLESS_EXTENSIONS.contains(&name) => {
                    return Err(UserError::new(format!(
                        "`{}` wants an extension that is not known here: `{key}`",
                        text::path(&shared.join("config"))
                    )));
                }
                _ => {}
            }
        }
        settings.data = config::data(&all, &CORE);
        settings.all = all;
        Ok(settings)
    }

    /// Does the user say that git may read this folder's repository, which is another user's?
    ///
    /// # Errors
    /// `UserError` if git cannot be run.
    pub fn user_trusts(top: &Path) -> Result<bool, UserError> {
        let trusted = of_the_user()?;
        let trusted = trusted.iter().filter(|(key, _)| key == "safe.directory").map(|(_, value)| value);
        // An empty value takes back all before it.
        let mut all: Vec<&String> = Vec::new();
        trusted.for_each(|value| if value.is_empty() { all.clear() } else { all.push(value) });
        Ok(all.iter().any(|value| *value == "*" || Path::new(value) == top))
    }

    /// Lines of a configuration, with what the user's own settings say of line ends.
    ///
    /// # Errors
    /// `UserError` if git cannot be run.
    pub fn user_data() -> Result<String, UserError> {
        let line_end = |(key, value): &(String, String)| {
            let name = key.strip_prefix("core.").filter(|name| ["autocrlf", "eol"].contains(name))?;
            config::core_line(name, value, &CORE)
        };
        Ok(format!("[core]\n{}", of_the_user()?.iter().filter_map(line_end).collect::<String>()))
    }
}

/// The user's own list of files that no repository of theirs wants.
///
/// # Errors
/// `UserError` if git cannot be run.
pub fn user_excludes() -> Result<Option<PathBuf>, UserError> {
    let settings = of_the_user()?;
    let named = settings.iter().rfind(|(key, _)| key == "core.excludesfile").map(|(_, value)| value);
    Ok(match named.map(|named| (named, named.strip_prefix("~/"))) {
        Some((_, Some(below))) => dirs::home_dir().map(|home| home.join(below)),
        Some((named, None)) => Some(PathBuf::from(named)).filter(|path| path.is_absolute()),
        None => dirs::config_dir().map(|folder| folder.join("git/ignore")),
    })
}

fn is_true(value: &str) -> bool {
    ["true", "yes", "on", "1"].contains(&&value.to_ascii_lowercase()[..])
}

/// The settings of one file, as git reads its bytes. What it includes is not read.
fn parsed(path: &Path) -> Result<Vec<(String, String)>, UserError> {
    let Some(bytes) = read_small(path)? else { return Ok(Vec::new()) };
    let list = ["config", "--file", "-", "--no-includes", "--list", "-z"];
    let output = Git::isolated(Path::new("/")).args(list).run(bytes)?;
    if !output.is_success() {
        return Err(UserError::new(format!("git does not read `{}`: {}", text::path(path), output.error_line())));
    }
    Ok(config::parse(&output.stdout))
}

/// The user's and the system's settings, with what these include.
pub fn of_the_user() -> Result<Vec<(String, String)>, UserError> {
    let list = ["config", "--includes", "--list", "-z"];
    Ok(config::parse(&Git::of_the_user().args(list).run(Vec::new())?.stdout))
}
