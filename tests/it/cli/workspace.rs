//! A directory on its way into a workspace, without an engine: the archive is read by GNU tar and by git.

use claude_bottle::spec::CopyScope;
use claude_bottle::workspace::{Archive, Stamp, Survey, survey};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testing::process::{finish, output};

#[track_caller]
fn git(folder: &Path, args: &[&str]) -> String {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "gc.auto=0"]).args(args);
    let output = output(git.env("HOME", "/nonexistent"));
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
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
    let output = finish("tar", tar);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn packed(survey: &Survey) -> Vec<u8> {
    let mut archive = Vec::new();
    survey.pack(&mut archive, 20_001).unwrap();
    archive
}

#[track_caller]
fn look(path: &Path) -> Survey {
    survey(path, CopyScope::Unignored, &[]).unwrap()
}

#[test]
fn gnu_tar_reads_what_is_written() {
    let long = PathBuf::from(format!("{}/{}", "d".repeat(90), "f".repeat(120)));
    let odd = PathBuf::from(std::ffi::OsString::from_vec(b"n\xffl\n -x".to_vec()));
    let target = "t".repeat(150);
    let stamp = |mode| Stamp { mode, time: 1_700_000_000 };
    let mut bytes = Vec::new();
    let mut archive = Archive::new(&mut bytes, 20_001);
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
    assert_eq!((meta.uid(), meta.gid()), (20_001, 20_001), "these tests run as root");
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
    let packed = survey.pack(&mut archive, 20_001).unwrap();
    assert_eq!(packed.left_out, 1);
    let inside = unpacked(&archive);
    let inside = inside.path().join("workspace");
    assert!(inside.join("empty").is_dir());
    assert_eq!(fs::read_link(inside.join("out")).unwrap(), Path::new("/etc"));
    assert_eq!(fs::metadata(inside.join("run")).unwrap().mode() & 0o7777, 0o755, "no set-uid bit");
    assert!(!inside.join("pipe").exists());
}

/// What an index or a link says does not lead out of the directory, nor into its `.git`.
#[test]
fn nothing_of_elsewhere_goes_in() {
    let (folder, host) = repository("--object-format=sha1");
    fs::write(folder.path().join("secret"), "S3CRET").unwrap();
    fs::create_dir(folder.path().join("keys")).unwrap();
    fs::write(folder.path().join("keys/one"), "S3CRET").unwrap();
    for name in ["zz/secret", "xgit/config", "keys/one"] {
        fs::create_dir_all(host.join(name).parent().unwrap()).unwrap();
        fs::write(host.join(name), "").unwrap();
    }
    git(&host, &["add", "."]);
    fs::write(host.join(".git/token"), "S3CRET").unwrap();
    fs::remove_dir_all(host.join("keys")).unwrap();
    symlink(folder.path().join("keys"), host.join("keys")).unwrap();
    // git would not add these names; it reads them.
    let index = fs::read(host.join(".git/index")).unwrap();
    let index = replaced(&replaced(&index, b"zz/secret", b"../secret"), b"xgit/config", b".git/token\0");
    fs::write(host.join(".git/index"), index).unwrap();
    assert!(git(&host, &["ls-files"]).contains("../secret\n"));
    let archive = packed(&look(&host));
    assert!(!holds(&archive, b"S3CRET"));
    let inside = unpacked(&archive);
    let inside = inside.path().join("workspace");
    assert!(
        inside.join("keys").is_symlink() && inside.join("zz/secret").exists() && !inside.join(".git/token").exists()
    );
}

/// As long as what it replaces.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// git fetches what it lacks by a program that the repository names.
#[test]
fn a_look_runs_nothing_of_the_repository() {
    let (folder, host) = repository("--object-format=sha1");
    let ran = folder.path().join("ran");
    for name in ["in/file", "out/file"] {
        fs::create_dir(host.join(name).parent().unwrap()).unwrap();
        fs::write(host.join(name), name).unwrap();
    }
    git(&host, &["add", "."]);
    git(&host, &["commit", "-qm", "folders"]);
    git(&host, &["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    let tree = git(&host, &["rev-parse", "HEAD:out"]);
    let (fan, rest) = tree.trim().split_at(2);
    fs::remove_file(host.join(".git/objects").join(fan).join(rest)).unwrap();
    let command = format!("touch {};", ran.display());
    for (key, value) in [
        ("core.repositoryFormatVersion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "/"),
        ("remote.origin.uploadpack", &command),
        ("core.fsmonitor", &command),
        ("core.sshCommand", &command),
        ("core.pager", &command),
    ] {
        git(&host, &["config", key, value]);
    }
    let _ = survey(&host, CopyScope::Unignored, &[]);
    assert!(!ran.exists());
}

/// A token in every place of a repository that may hold one is in no byte of the archive, objects unpacked too.
#[test]
fn no_token_goes_in() {
    let (folder, host) = repository("--object-format=sha1");
    fs::write(folder.path().join("included"), "[http]\n\textraheader = S3CRET-included\n").unwrap();
    let included = folder.path().join("included");
    for (key, value) in [
        ("remote.origin.url", "https://me:S3CRET@git.example.org/a.git?private_token=S3CRET"),
        ("remote.origin.pushurl", "https://S3CRET@git.example.org/a.git"),
        ("remote.https://S3CRET@git.example.org/b.fetch", "x"),
        ("branch.main.remote", "https://S3CRET@git.example.org/fork.git"),
        ("branch.main.pushRemote", "https://S3CRET@git.example.org/fork.git"),
        ("submodule.lib.url", "https://S3CRET@git.example.org/lib.git"),
        ("http.https://git.example.org/.extraheader", "Authorization: S3CRET"),
        ("credential.helper", "!echo S3CRET"),
        ("url.https://S3CRET@git.example.org/.insteadOf", "x:"),
        ("include.path", included.to_str().unwrap()),
        ("alias.x", "!curl S3CRET"),
    ] {
        git(&host, &["config", key, value]);
    }
    for name in [
        "FETCH_HEAD",
        "credentials",
        "description",
        "gitk.cache",
        "hooks/pre-push",
        "lfs/token",
        "logs/HEAD",
        "logs/refs/heads/main",
        "modules/lib/config",
        "objects/info/alternates.bak",
        "objects/info/http-alternates",
        "objects/pack/token",
        "objects/ab/token",
        "worktrees/w/HEAD",
    ] {
        let path = host.join(".git").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "S3CRET").unwrap();
    }
    for what in [CopyScope::Unignored, CopyScope::All] {
        let archive = packed(&survey(&host, what, &[]).unwrap());
        assert!(!holds(&archive, b"S3CRET"), "{what:?}");
        let inside = unpacked(&archive);
        let inside = inside.path().join("workspace");
        let objects = git(&inside, &["-c", "safe.directory=*", "cat-file", "--batch-all-objects", "--batch"]);
        assert!(!objects.contains("S3CRET"));
        let branch = git(&inside, &["-c", "safe.directory=*", "config", "branch.main.remote"]);
        assert_eq!(branch, "https://git.example.org/fork.git\n");
    }
}

/// A repository's own directory is known by what is in it, not by its name.
#[test]
fn a_repository_without_a_worktree_is_exported_in_its_place() {
    let (folder, host) = repository("--object-format=sha1");
    let project = folder.path().join("project");
    let bare = project.join(".bare");
    git(folder.path(), &["clone", "-q", "--bare", host.to_str().unwrap(), bare.to_str().unwrap()]);
    fs::write(project.join(".git"), "gitdir: ./.bare\n").unwrap();
    git(&project, &["worktree", "add", "-q", "tree", "main"]);
    git(&project, &["config", "http.extraheader", "S3CRET"]);
    fs::write(bare.join("hooks/post-update"), "S3CRET").unwrap();
    let seen = |survey: &Survey| {
        let archive = packed(survey);
        assert!(!holds(&archive, b"S3CRET"));
        unpacked(&archive)
    };
    let log = |path: &Path| git(path, &["-c", "safe.directory=*", "log", "--format=%s", "main"]);

    // A `.git` that leads to a bare repository, as people keep many worktrees.
    let inside = seen(&look(&project));
    let inside = inside.path().join("workspace");
    assert_eq!((log(&inside.join(".bare")), log(&inside.join("tree"))), ("2\n1\n0\n".into(), "2\n1\n0\n".into()));
    assert!(!inside.join(".git").exists() && inside.join("tree/file").exists());
    // The worktree alone.
    let inside = seen(&look(&project.join("tree")));
    assert_eq!(log(&inside.path().join("workspace")), "2\n1\n0\n");
    // Among the files of another repository that does not know of it.
    fs::rename(&bare, host.join("mirror")).unwrap();
    let inside = seen(&look(&host));
    assert_eq!(log(&inside.path().join("workspace/mirror")), "2\n1\n0\n");
    // And nobody is to be in one.
    for inside in ["mirror", "mirror/hooks", ".git", ".git/refs"] {
        for what in [CopyScope::Unignored, CopyScope::All] {
            let refused = survey(&host.join(inside), what, &[]).unwrap_err().to_string();
            assert!(refused.contains("is inside a repository's own directory"), "{refused}");
        }
    }
}

/// git takes any bytes for a name.
#[test]
fn branches_that_are_not_utf_8_go_in_each_by_its_name() {
    let (_folder, host) = repository("--object-format=sha1");
    let names = [&b"refs/heads/\xe8"[..], b"refs/heads/\xe9"].map(|name| std::ffi::OsString::from_vec(name.to_vec()));
    for name in &names {
        let mut update = Command::new("git");
        update.args(["update-ref"]).arg(name).arg("HEAD").current_dir(&host);
        assert!(update.status().unwrap().success());
    }
    let inside = unpacked(&packed(&look(&host)));
    for name in &names {
        let mut verify = Command::new("git");
        verify.args(["-c", "safe.directory=*", "rev-parse", "--quiet", "--verify"]).arg(name);
        let found = verify.current_dir(inside.path().join("workspace")).output().unwrap();
        assert!(found.status.success(), "{name:?}");
    }
}

/// A `.git` that is none does not bring the repository around it.
#[test]
fn a_broken_repository_is_not_the_one_above() {
    let (_folder, host) = repository("--object-format=sha1");
    fs::create_dir_all(host.join("sub/.git")).unwrap();
    let refused = survey(&host.join("sub"), CopyScope::All, &[]).unwrap_err().to_string();
    assert!(refused.contains("/sub/.git` is not a repository"), "{refused}");
}

/// What an untracked or tracked thing is called, however odd, is what it is called inside.
#[test]
fn names_are_kept() {
    let (_folder, host) = repository("--object-format=sha1");
    let long = "l".repeat(200);
    for name in [&b"-rf"[..], b"a\nb", b"\xff\xfe", b" ", b"\"q\"", b".gitmodules.bak", b"d\\e", long.as_bytes()] {
        fs::write(host.join(std::ffi::OsString::from_vec(name.to_vec())), name).unwrap();
    }
    for what in [CopyScope::Unignored, CopyScope::All] {
        let archive = packed(&survey(&host, what, &[]).unwrap());
        let inside = unpacked(&archive);
        for entry in fs::read_dir(&host).unwrap() {
            let name = entry.unwrap().file_name();
            let there = inside.path().join("workspace").join(&name);
            assert!(name == ".git" || fs::read(there).unwrap() == fs::read(host.join(&name)).unwrap(), "{name:?}");
        }
        // The crate reads it, too, and no entry has a name that leads out or another owner.
        for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
            let entry = entry.unwrap();
            assert!(entry.path().unwrap().starts_with("workspace"));
            assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (20_001, 20_001));
        }
    }
}

/// What is thrown away, what other bottles made, and what a store that is borrowed from holds besides.
#[test]
fn only_objects_that_the_exported_refs_lead_to_go_in() {
    let (folder, host) = repository("--object-format=sha1");
    let commit = |path: &Path, text: &str| {
        fs::write(path.join("file"), text).unwrap();
        git(path, &["commit", "-qam", text]);
    };
    let victim = folder.path().join("victim");
    git(folder.path(), &["clone", "-q", host.to_str().unwrap(), victim.to_str().unwrap()]);
    commit(&victim, "of the victim");
    let store = victim.join(".git/objects").canonicalize().unwrap();
    fs::write(host.join(".git/objects/info/alternates"), format!("{}\n", store.display())).unwrap();
    commit(&host, "thrown away");
    git(&host, &["update-ref", "refs/bottles/other/heads/main", "HEAD"]);
    git(&host, &["reset", "-q", "--hard", "HEAD~1"]);
    for text in ["first stash", "second stash"] {
        fs::write(host.join("file"), text).unwrap();
        git(&host, &["stash", "-q"]);
    }
    fs::write(host.join("file"), "staged").unwrap();
    git(&host, &["add", "file"]);
    for state in ["loose", "packed"] {
        if state == "packed" {
            git(&host, &["repack", "-adq"]);
            git(&victim, &["repack", "-adq"]);
        }
        let survey = look(&host);
        assert_eq!(survey.found.outside, std::slice::from_ref(&store), "the plan names it");
        let inside = unpacked(&packed(&survey));
        let inside = inside.path().join("workspace");
        let there = |args: &[&str]| git(&inside, &[&["-c", "safe.directory=*"], args].concat());
        let objects = there(&["cat-file", "--batch-all-objects", "--batch"]);
        for (text, is_there) in [
            ("of the victim", false),
            ("thrown away", false),
            ("first stash", true),
            ("second stash", true),
            ("staged", true),
        ] {
            assert_eq!(objects.contains(text), is_there, "{state}: {text}");
        }
        assert_eq!(there(&["stash", "list"]).lines().count(), 2);
        there(&["stash", "show", "-p", "stash@{1}"]);
        there(&["fsck", "--full"]);
    }
}

/// Links below `.git` lead to files of the host; a worktree and a submodule lead out, and their repository knows of them.
#[test]
fn a_git_directory_leads_nowhere_that_does_not_lead_back() {
    let (folder, host) = repository("--object-format=sha1");
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    fs::write(keys.join("exclude"), "S3CRET").unwrap();
    fs::write(keys.join("heads"), "S3CRET").unwrap();
    for name in ["rebase-merge", "sequencer", "info", "logs", "refs/tags", "ORIG_HEAD", "shallow"] {
        let link = host.join(".git").join(name);
        let aside = folder.path().join("aside");
        let was = fs::rename(&link, &aside).is_ok();
        symlink(if name == "shallow" { keys.join("heads") } else { keys.clone() }, &link).unwrap();
        let refused = survey(&host, CopyScope::Unignored, &[]).unwrap_err().to_string();
        assert!(refused.contains(&format!("/.git/{name}` is a link")), "{name}: {refused}");
        fs::remove_file(&link).unwrap();
        if was {
            fs::rename(&aside, &link).unwrap();
        }
    }
    let worktree = folder.path().join("worktree");
    git(&host, &["worktree", "add", "-q", "-b", "side", worktree.to_str().unwrap()]);
    let outside = host.join(".git").canonicalize().unwrap();
    assert_eq!(look(&worktree).found.outside, [outside]);
    let stolen = folder.path().join("stolen");
    fs::create_dir(&stolen).unwrap();
    fs::copy(worktree.join(".git"), stolen.join(".git")).unwrap();
    let refused = survey(&stolen, CopyScope::Unignored, &[]).unwrap_err().to_string();
    assert!(refused.contains("does not name this folder as its worktree"), "{refused}");
}

/// Inside the directory, too: what is ignored there is not brought by what is not.
#[test]
fn a_git_directory_in_the_directory_leads_to_no_other_repository() {
    let (folder, host) = repository("--object-format=sha1");
    let private = host.join("private");
    git(&host, &["clone", "-q", ".", private.to_str().unwrap()]);
    fs::write(private.join("file"), "S3CRET").unwrap();
    git(&private, &["commit", "-qam", "private"]);
    fs::write(host.join(".gitignore"), "/private\n").unwrap();
    let sub = host.join("sub");
    fs::create_dir(&sub).unwrap();
    let leads: [fn(&Path); 4] = [
        |sub| fs::write(sub.join(".git"), "gitdir: ../private/.git\n").unwrap(),
        |sub| fs::write(sub.join(".git"), "gitdir: ./way/.git\n").unwrap(),
        |sub| symlink("../private/.git", sub.join(".git")).unwrap(),
        |sub| {
            fs::create_dir(sub.join(".git")).unwrap();
            fs::write(sub.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
            fs::write(sub.join(".git/commondir"), "../../private/.git\n").unwrap();
        },
    ];
    symlink("../private", sub.join("way")).unwrap();
    for (number, lead) in leads.iter().enumerate() {
        lead(&sub);
        for scope in [CopyScope::Unignored, CopyScope::All] {
            let refused = survey(&host, scope, &[]).map(|_| ()).unwrap_err().to_string();
            assert!(refused.contains("does not name this folder as its worktree"), "{number} {scope:?}: {refused}");
        }
        fs::remove_dir_all(sub.join(".git")).or_else(|_| fs::remove_file(sub.join(".git"))).unwrap();
    }
    // Its own worktree and its own submodule come as before.
    git(&host, &["worktree", "add", "-q", "-b", "side", host.join("tree").to_str().unwrap()]);
    let lib = folder.path().join("lib");
    git(&host, &["clone", "-q", ".", lib.to_str().unwrap()]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", lib.to_str().unwrap(), "lib"];
    git(&host, &add);
    assert_eq!(
        BTreeSet::from_iter(look(&host).found.repositories),
        BTreeSet::from([".", "lib", "tree"].map(str::to_owned))
    );
}

#[test]
fn a_pipe_in_the_configuration_holds_nothing_up() {
    let (_folder, host) = repository("--object-format=sha1");
    nix::unistd::mkfifo(&host.join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    git(&host, &["config", "core.excludesFile", "pipe"]);
    let refused = survey(&host, CopyScope::Unignored, &[]).unwrap_err().to_string();
    assert!(refused.contains("pipe` is not a file"), "{refused}");
    git(&host, &["config", "--unset", "core.excludesFile"]);
    git(&host, &["config", "include.path", host.join("pipe").to_str().unwrap()]);
    assert_eq!(look(&host).found.repositories, ["."]);
}

/// git opens what it finds there without a look at what it is, and waits for a writer.
#[test]
fn a_pipe_among_the_objects_holds_nothing_up() {
    let (folder, host) = repository("--object-format=sha1");
    let lender = folder.path().join("lender");
    git(&host, &["clone", "-q", "--bare", ".", lender.to_str().unwrap()]);
    fs::write(host.join(".git/objects/info/alternates"), lender.join("objects").to_str().unwrap()).unwrap();
    assert_eq!(look(&host).found.repositories, ["."], "a lender of its own");
    let loose = format!("17/{}", "1".repeat(38));
    let names =
        ["info/commit-graph", "info/commit-graphs/graph-1.graph", "pack/multi-pack-index", "pack/pack-1.idx", &loose];
    for store in [host.join(".git/objects"), lender.join("objects")] {
        for name in names {
            let pipe = store.join(name);
            fs::create_dir_all(pipe.parent().unwrap()).unwrap();
            nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
            let refused = survey(&host, CopyScope::Unignored, &[]).map(|_| ()).unwrap_err().to_string();
            assert!(refused.contains(&format!("{name}` is not a file")), "{name}: {refused}");
            fs::remove_file(&pipe).unwrap();
        }
    }
    let linked = lender.join("objects/info/commit-graph");
    nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    symlink(folder.path().join("pipe"), linked).unwrap();
    assert!(survey(&host, CopyScope::Unignored, &[]).is_err(), "by a link");
}

/// git itself makes no `config.worktree` until something is set in it.
#[test]
fn a_setting_of_worktrees_needs_no_file_of_its_own() {
    let (_folder, path) = repository("--template=");
    git(&path, &["config", "core.repositoryFormatVersion", "1"]);
    git(&path, &["config", "extensions.worktreeConfig", "true"]);
    assert!(!path.join(".git/config.worktree").exists());
    let out = unpacked(&packed(&look(&path)));
    let config = fs::read_to_string(out.path().join("workspace/.git/config")).unwrap();
    assert!(!config.to_lowercase().contains("worktreeconfig"), "{config}");
}

/// Of a file with holes the archive would have zeros: gigabytes of them.
#[test]
fn a_file_of_holes_stays_out() {
    let (_folder, host) = repository("--object-format=sha1");
    let sparse = fs::File::create(host.join("disk.img")).unwrap();
    sparse.set_len(9 << 30).unwrap();
    fs::File::create(host.join("small.img")).unwrap().set_len(1 << 20).unwrap();
    for scope in [CopyScope::Unignored, CopyScope::All] {
        let survey = survey(&host, scope, &[]).unwrap();
        let left_out: Vec<_> = survey.found.sparse.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
        assert_eq!(left_out, [("disk.img", 9 << 30)]);
        assert!(survey.found.bytes < 4 << 20, "{}", survey.found.bytes);
        let names: Vec<_> = survey.entries().map(|entry| entry.path.to_owned()).collect();
        assert!(names.contains(&"small.img".into()) && !names.contains(&"disk.img".into()), "{names:?}");
    }
}
