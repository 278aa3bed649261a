//! A directory on its way into a workspace, without an engine: the archive is read by GNU tar and by git.

use claude_bottle::spec::Copied;
use claude_bottle::workspace::{Archive, Stamp, Survey, survey};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[track_caller]
fn git(folder: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "gc.auto=0"]).args(args);
    let output = git.env("HOME", "/nonexistent").output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A repository with a few commits, in a folder of its own.
fn repository(format: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host");
    fs::create_dir(&path).unwrap();
    git(&path, &["init", "-q", "-b", "main", format]);
    for number in 0..3 {
        fs::write(path.join("file"), format!("{number}\n")).unwrap();
        git(&path, &["add", "."]);
        git(&path, &["commit", "-qm", &number.to_string()]);
    }
    (folder, path)
}

/// What GNU tar makes of the archive.
#[track_caller]
fn unpacked(archive: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-xpf", "-", "--numeric-owner"]).current_dir(&folder).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut tar = tar.spawn().unwrap();
    tar.stdin.take().unwrap().write_all(archive).unwrap();
    let output = tar.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn packed(survey: &Survey) -> Vec<u8> {
    let mut archive = Vec::new();
    survey.pack(&mut archive, |_| true).unwrap();
    archive
}

#[track_caller]
fn look(path: &Path) -> Survey {
    survey(path, Copied::Unignored, &[]).unwrap()
}

#[test]
fn gnu_tar_reads_what_is_written() {
    let long = PathBuf::from(format!("{}/{}", "d".repeat(90), "f".repeat(120)));
    let odd = PathBuf::from(std::ffi::OsString::from_vec(b"n\xffl\n -x".to_vec()));
    let target = "t".repeat(150);
    let stamp = |mode| Stamp { mode, time: 1_700_000_000 };
    let mut bytes = Vec::new();
    let mut archive = Archive::new(&mut bytes);
    archive.folder(long.parent().unwrap(), stamp(0o755)).unwrap();
    assert_eq!(archive.file(&long, 5, stamp(0o644), &b"12345"[..]).unwrap(), 0);
    assert_eq!(archive.file(&odd, 3, stamp(0o755), &b"12345"[..]).unwrap(), 0, "what it has beyond is left");
    assert_eq!(
        archive.file(Path::new("short"), 600, stamp(0o644), &b"1"[..]).unwrap(),
        599,
        "and what it lacks is zeros"
    );
    archive.link(Path::new("link"), Path::new(&target), stamp(0o777)).unwrap();
    archive.finish().unwrap();
    let folder = unpacked(&bytes);
    let meta = fs::metadata(folder.path().join(&long)).unwrap();
    assert_eq!((meta.len(), meta.mtime(), meta.mode() & 0o7777), (5, 1_700_000_000, 0o644));
    assert_eq!((meta.uid(), meta.gid()), (1000, 1000), "these tests run as root");
    assert_eq!(fs::read(folder.path().join(&odd)).unwrap(), b"123");
    assert_eq!(fs::metadata(folder.path().join(&odd)).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::read(folder.path().join("short")).unwrap().len(), 600);
    assert_eq!(fs::read_link(folder.path().join("link")).unwrap(), Path::new(&target));
}

/// git packs in the background whenever it likes: what moved between the look and the copy is found again.
#[test]
fn a_repository_that_is_packed_meanwhile_is_whole() {
    let (_folder, host) = repository("--object-format=sha1");
    let survey = look(&host);
    git(&host, &["repack", "-adq"]);
    git(&host, &["prune-packed"]);
    let inside = unpacked(&packed(&survey));
    let inside = inside.path().join("workspace");
    git(&inside, &["-c", "safe.directory=*", "fsck", "--full"]);
    assert_eq!(git(&inside, &["-c", "safe.directory=*", "log", "--format=%s"]), "2\n1\n0\n");
}

#[test]
fn repositories_of_every_kind_stand_for_themselves() {
    for kind in ["plain", "sha256", "shallow", "detached", "merging", "borrows", "worktree", "unborn", "reftable"] {
        let format = match kind {
            "sha256" => "--object-format=sha256",
            "reftable" if !can_reftable() => continue,
            "reftable" => "--ref-format=reftable",
            _ => "--object-format=sha1",
        };
        let (folder, mut host) = repository(format);
        let other = folder.path().join("other");
        let to = other.to_str().unwrap();
        let mut log = "2\n1\n0\n";
        match kind {
            "shallow" => {
                git(folder.path(), &["clone", "-q", "--depth", "1", &format!("file://{}", host.display()), to]);
                (host, log) = (other, "2\n");
            }
            "detached" => drop(git(&host, &["checkout", "-q", "--detach", "HEAD~1"])),
            "merging" => {
                git(&host, &["checkout", "-q", "-b", "side", "HEAD~1"]);
                fs::write(host.join("side"), "").unwrap();
                git(&host, &["add", "."]);
                git(&host, &["commit", "-qm", "side"]);
                git(&host, &["merge", "-q", "--no-commit", "main"]);
                log = "side\n1\n0\n";
            }
            "borrows" => {
                git(folder.path(), &["clone", "-q", "--shared", host.to_str().unwrap(), to]);
                host = other;
            }
            "worktree" => {
                git(&host, &["worktree", "add", "-q", "-b", "side", to]);
                host = other;
            }
            "unborn" => {
                host = other;
                fs::create_dir(&host).unwrap();
                git(&host, &["init", "-q"]);
                log = "";
            }
            _ => {}
        }
        if kind == "detached" {
            log = "1\n0\n";
        }
        let before = git(&host, &["status", "--porcelain=v2", "--branch"]);
        let inside = unpacked(&packed(&look(&host)));
        let inside = inside.path().join("workspace");
        let there = |args: &[&str]| git(&inside, &[&["-c", "safe.directory=*"], args].concat());
        let head =
            |text: &str| text.lines().filter(|line| !line.starts_with("# branch.ab")).collect::<Vec<_>>().join("\n");
        assert_eq!(head(&there(&["status", "--porcelain=v2", "--branch"])), head(&before), "{kind}");
        there(&["fsck", "--full"]);
        if !log.is_empty() {
            assert_eq!(there(&["log", "--first-parent", "--format=%s"]), log, "{kind}");
        }
        assert!(inside.join(".git").is_dir() && !inside.join(".git/objects/info/alternates").exists(), "{kind}");
        assert_eq!(inside.join(".git/MERGE_HEAD").exists(), kind == "merging");
    }
}

fn can_reftable() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut git = Command::new("git");
    let done =
        git.args(["init", "-q", "--ref-format=reftable", "."]).current_dir(&folder).stderr(Stdio::null()).status();
    done.unwrap().success()
}

#[test]
fn what_is_no_file_stays_out_and_links_stay_links() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("empty")).unwrap();
    fs::write(path.join("run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(path.join("run"), PermissionsExt::from_mode(0o4755)).unwrap();
    symlink("/etc", path.join("out")).unwrap();
    nix::unistd::mkfifo(&path.join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let survey = look(path);
    let mut archive = Vec::new();
    let packed = survey.pack(&mut archive, |_| true).unwrap();
    assert_eq!((packed.left_out, packed.stopped), (1, false));
    let inside = unpacked(&archive);
    let inside = inside.path().join("workspace");
    assert!(inside.join("empty").is_dir());
    assert_eq!(fs::read_link(inside.join("out")).unwrap(), Path::new("/etc"));
    assert_eq!(fs::metadata(inside.join("run")).unwrap().mode() & 0o7777, 0o755, "no set-uid bit");
    assert!(!inside.join("pipe").exists());
}

#[test]
fn a_copy_can_be_stopped() {
    let (_folder, host) = repository("--object-format=sha1");
    let survey = look(&host);
    let mut left = 3;
    let packed = survey.pack(std::io::sink(), |_| {
        left -= 1;
        left > 0
    });
    assert!(packed.unwrap().stopped);
}
