//! The text of an agent's prompt.
//!
//! A directory's `prompt_file` is opened one component at a time, none of them a symlink: what a cloned repository
//! names stays beneath its folder, also while files are moved at the same time. What is read is bounded, and UTF-8.

use super::json::printable;
use super::source::resolve_path_in;
use super::{Prompt, Scope};
use crate::exit::UserError;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

const MAX_PROMPT_BYTES: u64 = 1 << 20;

/// The text of a prompt, of an agent that a manifest of this scope defines.
///
/// # Errors
/// `UserError` for a file that cannot be read, is too long or not UTF-8, or lies where its scope may not read.
pub fn read_prompt(prompt: &Prompt, scope: Scope) -> Result<String, UserError> {
    let (root, path) = match prompt {
        Prompt::Text(text) => return Ok(text.clone()),
        Prompt::File { root, path } => (root, path),
    };
    let (shown, opened) = match scope {
        Scope::Directory => (root.join(path), beneath(root, path)),
        Scope::Home => {
            let path = resolve_path_in(root, path).map_err(|why| prompt_error(path, why))?;
            let opened = open(&path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty());
            (path, opened.map_err(OpenError::System))
        }
    };
    let file = opened.map_err(|why| prompt_error(&shown, why.reason()))?;
    text_of(File::from(file)).map_err(|why| prompt_error(&shown, why))
}

fn prompt_error(path: &Path, why: impl std::fmt::Display) -> UserError {
    UserError::new(format!("prompt_file `{}`: {why}", printable(&path.display().to_string())))
}

/// Why a file was not opened.
enum OpenError {
    System(Errno),
    Symlink(PathBuf),
    Climbs,
}

impl OpenError {
    fn reason(&self) -> String {
        match self {
            OpenError::System(errno) => errno.desc().to_ascii_lowercase(),
            OpenError::Symlink(at) => {
                format!(
                    "`{}` is a symlink, which a directory's agent may not use",
                    printable(&at.display().to_string())
                )
            }
            OpenError::Climbs => "not beneath the manifest's folder".into(),
        }
    }
}

/// Opens `path` beneath `root`; no component of `path` may be a symlink.
fn beneath(root: &Path, path: &Path) -> Result<OwnedFd, OpenError> {
    let folder = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut at = open(root, folder, Mode::empty()).map_err(OpenError::System)?;
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            _ => return Err(OpenError::Climbs),
        }
    }
    let Some((file, folders)) = parts.split_last() else { return Err(OpenError::Climbs) };
    let mut walked = PathBuf::new();
    for name in folders {
        walked.push(name);
        at = openat(&at, *name, folder | OFlag::O_NOFOLLOW, Mode::empty())
            .map_err(|e| open_error(&at, name, e, &walked))?;
    }
    walked.push(file);
    // Without O_NONBLOCK, opening a fifo would wait for a writer.
    let plain = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    openat(&at, *file, plain, Mode::empty()).map_err(|e| open_error(&at, file, e, &walked))
}

/// Tells a symlink from other errors: O_NOFOLLOW gives ELOOP for a file, and ENOTDIR for a folder.
fn open_error(at: &OwnedFd, name: &std::ffi::OsStr, errno: Errno, walked: &Path) -> OpenError {
    let links = matches!(errno, Errno::ELOOP | Errno::ENOTDIR) && nix::fcntl::readlinkat(at, name).is_ok();
    if links { OpenError::Symlink(walked.to_path_buf()) } else { OpenError::System(errno) }
}

/// # Errors
/// The reason, for what is not a regular file, too long or not UTF-8.
fn text_of(file: File) -> Result<String, String> {
    let about = |e: std::io::Error| e.kind().to_string();
    if !file.metadata().map_err(about)?.is_file() {
        return Err("not a file".into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_PROMPT_BYTES + 1).read_to_end(&mut bytes).map_err(about)?;
    if bytes.len() as u64 > MAX_PROMPT_BYTES {
        return Err("longer than 1 MiB".into());
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, write};
    use std::os::unix::fs::symlink;

    fn read(root: &Path, path: &str, scope: Scope) -> Result<String, String> {
        let prompt = Prompt::File { root: root.into(), path: path.into() };
        let root = format!("{}/", root.display());
        read_prompt(&prompt, scope).map_err(|error| error.what.replace(&root, ""))
    }

    #[test]
    fn a_directory_reads_only_its_own_files() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("repo");
        create_dir(&root).unwrap();
        create_dir(root.join("prompts")).unwrap();
        write(top.path().join("secret"), "s3cret").unwrap();
        write(root.join("prompts/a.md"), "do it").unwrap();
        symlink("../secret", root.join("link")).unwrap();
        symlink("prompts", root.join("folder")).unwrap();
        symlink("..", root.join("prompts/up")).unwrap();
        nix::unistd::mkfifo(&root.join("fifo"), Mode::S_IRWXU).unwrap();
        let read = |path| read(&root, path, Scope::Directory);
        let err = |what: &str| Err(what.to_string());
        assert_eq!(read("prompts/a.md"), Ok("do it".into()));
        assert_eq!(read("./prompts//a.md"), Ok("do it".into()));
        let no = "is a symlink, which a directory's agent may not use";
        assert_eq!(read("link"), err(&format!("prompt_file `link`: `link` {no}")));
        assert_eq!(read("folder/a.md"), err(&format!("prompt_file `folder/a.md`: `folder` {no}")));
        assert_eq!(
            read("prompts/up/prompts/a.md"),
            err(&format!("prompt_file `prompts/up/prompts/a.md`: `prompts/up` {no}"))
        );
        assert_eq!(read("../secret"), err("prompt_file `../secret`: not beneath the manifest's folder"));
        assert_eq!(read("/etc/passwd"), err("prompt_file `/etc/passwd`: not beneath the manifest's folder"));
        assert_eq!(read("none.md"), err("prompt_file `none.md`: no such file or directory"));
        assert_eq!(read("prompts"), err("prompt_file `prompts`: not a file"));
        assert_eq!(read("fifo"), err("prompt_file `fifo`: not a file"));
        assert_eq!(read("prompts/a.md/b"), err("prompt_file `prompts/a.md/b`: not a directory"));
    }

    #[test]
    fn a_home_follows_its_own_symlinks_and_every_prompt_is_bounded_text() {
        let top = tempfile::tempdir().unwrap();
        let root = top.path();
        write(root.join("real"), "hello").unwrap();
        symlink("real", root.join("link")).unwrap();
        write(root.join("bytes"), [0xff, 0xfe]).unwrap();
        write(root.join("long"), vec![b'a'; (1 << 20) + 1]).unwrap();
        write(root.join("full"), vec![b'a'; 1 << 20]).unwrap();
        assert_eq!(read(root, "link", Scope::Home), Ok("hello".into()));
        assert_eq!(read(root, &root.join("real").display().to_string(), Scope::Home), Ok("hello".into()));
        for scope in [Scope::Home, Scope::Directory] {
            assert_eq!(read(root, "bytes", scope), Err("prompt_file `bytes`: not UTF-8".into()));
            assert_eq!(read(root, "long", scope), Err("prompt_file `long`: longer than 1 MiB".into()));
            assert_eq!(read(root, "full", scope).map(|t| t.len()), Ok(1 << 20));
        }
        assert_eq!(read_prompt(&Prompt::Text("hi".into()), Scope::Directory), Ok("hi".into()));
    }
}
