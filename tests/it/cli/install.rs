//! What `make install` and the Debian package put where, and that it works from there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs it in the repository, to a good end; gives what it printed.
fn done(program: &str, args: &[&str]) -> String {
    let output = testing::process::output(Command::new(program).args(args).current_dir(repository()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Every file below, relative.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => drop(found.insert(entry.path().strip_prefix(root).unwrap().to_owned())),
            }
        }
    }
    found
}

fn pages() -> Vec<String> {
    let names = fs::read_dir(repository().join("man")).unwrap().map(|entry| entry.unwrap());
    let pages = names.filter(|entry| entry.file_type().unwrap().is_file());
    pages.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// The program there says its version, and finds the gate beside itself.
fn works(prefix: &Path) {
    let home = tempfile::tempdir().unwrap();
    let manifest = r#"{ "bottles": { "b": {} }, "agents": { "a": { "bottle": "b" } } }"#;
    fs::write(home.path().join("claude-bottle.json"), manifest).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(prefix.join("bin/claude-bottle"));
        command.args(args).env_clear().env("CLAUDE_BOTTLE_HOME", home.path()).env("HOME", home.path());
        let output = testing::process::output(command.current_dir(home.path()));
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let version = run(&["--version"]);
    let commit = version.trim().strip_prefix(concat!("claude-bottle ", env!("CARGO_PKG_VERSION")));
    let commit = commit.unwrap_or_else(|| panic!("{version}")).trim_matches([' ', '(', ')']);
    let known = commit.len() >= 10 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    // Where git has nothing to say, as in an archive, it has none.
    let git = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(repository()).output();
    assert!(known || !git.is_ok_and(|output| output.status.success()), "{version}");
    let plan = run(&["start", "--dry-run", "a"]);
    assert!(plan.contains("claude-bottle-gate:") && !plan.contains("no gate program"), "{plan}");
}

#[test]
fn what_is_installed_works_from_there() {
    let folder = tempfile::tempdir().unwrap();
    done("make", &["install", &format!("DESTDIR={}", folder.path().display()), "PREFIX=/opt/bottle"]);
    let prefix = folder.path().join("opt/bottle");
    works(&prefix);
    let gate = format!("libexec/claude-bottle/claude-bottle-gate-{}", std::env::consts::ARCH);
    let mut wanted: BTreeSet<PathBuf> = ["bin/claude-bottle", &gate].map(PathBuf::from).into();
    wanted.extend(
        [
            "share/bash-completion/completions/claude-bottle",
            "share/zsh/site-functions/_claude-bottle",
            "share/fish/vendor_completions.d/claude-bottle.fish",
        ]
        .map(PathBuf::from),
    );
    for page in pages() {
        let section = page.rsplit('.').next().unwrap();
        wanted.insert(format!("share/man/man{section}/{page}").into());
    }
    assert_eq!(files(&prefix), wanted);
}

#[test]
fn the_debian_package_holds_what_is_installed() {
    let package = repository().join(done("scripts/deb", &[env!("CARGO_PKG_VERSION")]));
    let package = package.to_str().unwrap();
    let field = |name: &str| done("dpkg-deb", &["--field", package, name]);
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    assert!(field("Depends").contains("libc6"), "{}", field("Depends"));
    let folder = tempfile::tempdir().unwrap();
    done("dpkg-deb", &["--extract", package, folder.path().to_str().unwrap()]);
    works(&folder.path().join("usr"));
    let files = files(&folder.path().join("usr/share"));
    for page in pages() {
        let section = page.rsplit('.').next().unwrap();
        assert!(files.contains(Path::new(&format!("man/man{section}/{page}.gz"))), "{page} in {files:?}");
    }
    for file in ["zsh/vendor-completions/_claude-bottle", "doc/claude-bottle/copyright"] {
        assert!(files.contains(Path::new(file)), "{file} in {files:?}");
    }
}
