//! Files that run by themselves on the machine they are copied to, by class: when a folder is opened in an editor or entered
//! by a shell, at a build, a test or a push, or when an agent reads them. `work apply` asks once for each class. Pure.
//!
//! Names are compared as the most lenient file system would: without case, invisible characters, and dots at the end.

use crate::text;
use std::path::Path;

/// Why a file is asked for. The order is that of the questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AutorunClass {
    Link,
    Submodule,
    Repository,
    Disguised,
    Agent,
    Hidden,
    Pipeline,
    Build,
    Config,
    Desktop,
    Program,
    Loaded,
}

/// What a change makes of a path. Where several hold, the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    Plain,
    Executable,
    Link,
    Submodule,
}

impl FileKind {
    /// The kind of a file with this mode of git's.
    pub fn of_mode(mode: u32) -> FileKind {
        match mode {
            0o120000 => FileKind::Link,
            0o160000 => FileKind::Submodule,
            0o100644 => FileKind::Plain,
            _ => FileKind::Executable,
        }
    }
}

impl AutorunClass {
    pub fn title(self) -> &'static str {
        match self {
            AutorunClass::Link => "symbolic links, which lead elsewhere",
            AutorunClass::Submodule => "submodules, which git clones from elsewhere",
            AutorunClass::Repository => "folders that git takes for repositories, whose settings name programs",
            AutorunClass::Disguised => "names that are not what they look like",
            AutorunClass::Agent => "instructions and settings of coding agents",
            AutorunClass::Hidden => "hidden files and folders, of shells, editors, git and others",
            AutorunClass::Pipeline => "CI pipelines and hooks",
            AutorunClass::Build => "build, package and container files",
            AutorunClass::Config => "configuration of tools",
            AutorunClass::Desktop => "workspaces, shortcuts and start-up files",
            AutorunClass::Program => "programs, scripts and libraries that can be run",
            AutorunClass::Loaded => "data that runs when it is opened",
        }
    }
}

/// What a name is compared with, all in lower case.
struct Names {
    class: AutorunClass,
    whole: &'static [&'static str],
    /// Names that begin so and go on with `.`, `-` or `_`, as `dockerfile.dev`.
    stems: &'static [&'static str],
    endings: &'static [&'static str],
    /// Folders: all that is below one.
    folders: &'static [&'static str],
}

/// The first that matches decides.
const CLASSES: [Names; 6] = [
    Names {
        class: AutorunClass::Agent,
        whole: &[
            ".clinerules",
            ".cursorrules",
            ".goosehints",
            ".mcp.json",
            ".roorules",
            ".windsurfrules",
            "agent.md",
            "agents.md",
            "claude-bottle.json",
            "claude.md",
            "codex.md",
            "conventions.md",
            "copilot-instructions.md",
            "crush.md",
            "gemini.md",
            "mcp.json",
            "qwen.md",
            "replit.md",
            "skill.md",
            "warp.md",
        ],
        stems: &[".aider", "agents", "claude", "gemini"],
        endings: &[".chatmode.md", ".instructions.md", ".mdc", ".prompt.md"],
        folders: &[
            ".aider",
            ".amazonq",
            ".augment",
            ".claude",
            ".clinerules",
            ".codex",
            ".continue",
            ".crush",
            ".cursor",
            ".gemini",
            ".junie",
            ".kiro",
            ".opencode",
            ".qwen",
            ".roo",
            ".windsurf",
        ],
    },
    Names {
        class: AutorunClass::Pipeline,
        whole: &[
            "appveyor.yml",
            "applypatch-msg",
            "bitbucket-pipelines.yml",
            "buildspec.yml",
            "cloudbuild.json",
            "cloudbuild.yaml",
            "codemagic.yaml",
            "commit-msg",
            "fsmonitor-watchman",
            "jenkinsfile",
            "post-applypatch",
            "post-checkout",
            "post-commit",
            "post-merge",
            "post-receive",
            "post-rewrite",
            "post-update",
            "pre-applypatch",
            "pre-auto-gc",
            "pre-commit",
            "pre-merge-commit",
            "pre-push",
            "pre-rebase",
            "pre-receive",
            "prepare-commit-msg",
            "push-to-checkout",
            "update",
            "wercker.yml",
        ],
        stems: &["azure-pipelines", "jenkinsfile", "lefthook", "lefthook-local"],
        endings: &[],
        folders: &[
            ".buildkite",
            ".circleci",
            ".forgejo",
            ".gitea",
            ".githooks",
            ".github",
            ".gitlab",
            ".husky",
            ".woodpecker",
            "githooks",
            "hooks.d",
        ],
    },
    Names {
        class: AutorunClass::Build,
        whole: &[
            "angular.json",
            "ansible.cfg",
            "appfile",
            "bb.edn",
            "berksfile",
            "binding.gyp",
            "brewfile",
            "bsconfig.json",
            "buck",
            "build",
            "build.boot",
            "build.pl",
            "build.rs",
            "build.sc",
            "build.xml",
            "build.yaml",
            "build.zig",
            "build.zig.zon",
            "bun.lock",
            "bun.lockb",
            "cakefile",
            "capfile",
            "cargo.lock",
            "cargo.toml",
            "cartfile",
            "cmakelists.txt",
            "cmakepresets.json",
            "composer.json",
            "composer.lock",
            "config.nims",
            "configure",
            "configure.ac",
            "conftest.py",
            "cpanfile",
            "dangerfile",
            "deno.json",
            "deno.jsonc",
            "deno.lock",
            "deps.edn",
            "devbox.json",
            "dodo.py",
            "dub.json",
            "dub.sdl",
            "dune",
            "dune-project",
            "earthfile",
            "environment.yml",
            "fabfile.py",
            "fastfile",
            "flake.lock",
            "global.json",
            "gnumakefile",
            "go.mod",
            "go.sum",
            "go.work",
            "gradlew",
            "guardfile",
            "guix.scm",
            "hatch_build.py",
            "ivy.xml",
            "jsr.json",
            "justfile",
            "lerna.json",
            "magefile.go",
            "makefile",
            "makefile.pl",
            "manifest.in",
            "manifest.toml",
            "meson.build",
            "meson.options",
            "meson_options.txt",
            "mise.toml",
            "mix.exs",
            "mix.lock",
            "module.bazel",
            "mvnw",
            "nim.cfg",
            "noxfile.py",
            "npm-shrinkwrap.json",
            "nx.json",
            "package-lock.json",
            "package.json",
            "package.swift",
            "package.yaml",
            "pants.toml",
            "pipfile",
            "pipfile.lock",
            "pnpm-lock.yaml",
            "pnpm-workspace.yaml",
            "podfile",
            "poetry.lock",
            "pom.xml",
            "premake5.lua",
            "project.clj",
            "project.json",
            "project.toml",
            "pubspec.yaml",
            "puppetfile",
            "pyproject.toml",
            "pytest.ini",
            "rakefile",
            "rebar.lock",
            "rush.json",
            "sconscript",
            "sconstruct",
            "setup.cfg",
            "setup.hs",
            "setup.lhs",
            "setup.py",
            "shadow-cljs.edn",
            "shard.yml",
            "sitecustomize.py",
            "skaffold.yaml",
            "snakefile",
            "stack.yaml",
            "tasks.py",
            "thorfile",
            "tiltfile",
            "tox.ini",
            "turbo.json",
            "usercustomize.py",
            "uv.lock",
            "vagrantfile",
            "vcpkg.json",
            "waf",
            "workspace",
            "wscript",
            "xmake.lua",
            "yarn.lock",
        ],
        stems: &[
            "cabal.project",
            "compose",
            "conanfile",
            "containerfile",
            "directory.build",
            "directory.packages",
            "docker-bake",
            "docker-compose",
            "dockerfile",
            "gemfile",
            "gradle-wrapper",
            "gruntfile",
            "gulpfile",
            "jakefile",
            "jsconfig",
            "makefile",
            "procfile",
            "requirements",
            "rust-toolchain",
            "taskfile",
            "tsconfig",
        ],
        endings: &[
            ".am",
            ".bazel",
            ".bzl",
            ".cabal",
            ".cmake",
            ".containerfile",
            ".csproj",
            ".dockerfile",
            ".fsproj",
            ".gemspec",
            ".gradle",
            ".gradle.kts",
            ".gyp",
            ".gypi",
            ".just",
            ".m4",
            ".mak",
            ".make",
            ".mill",
            ".mk",
            ".nimble",
            ".nims",
            ".ninja",
            ".nix",
            ".opam",
            ".pri",
            ".pro",
            ".proj",
            ".props",
            ".pth",
            ".qbs",
            ".rake",
            ".rockspec",
            ".rsp",
            ".sbt",
            ".sln",
            ".slnx",
            ".targets",
            ".vbproj",
            ".vcxproj",
            "._pth",
            "build.gradle",
        ],
        folders: &[".cargo", ".mvn", "buildsrc"],
    },
    Names {
        class: AutorunClass::Desktop,
        whole: &["autorun.inf", "crontab", "desktop.ini", "folder.htt", "session.vim", "startup.m"],
        stems: &[],
        endings: &[
            ".code-workspace",
            ".desktop",
            ".iml",
            ".inetloc",
            ".lnk",
            ".pbxproj",
            ".reg",
            ".scf",
            ".service",
            ".settingcontent-ms",
            ".socket",
            ".sublime-project",
            ".sublime-workspace",
            ".terminal",
            ".timer",
            ".url",
            ".webloc",
            ".workflow",
            ".xcscheme",
            ".xcworkspacedata",
        ],
        folders: &[".devcontainer", ".fleet", ".idea", ".vscode", ".zed", "autostart"],
    },
    Names {
        class: AutorunClass::Program,
        whole: &[],
        stems: &[],
        endings: &[
            ".appimage",
            ".bat",
            ".cmd",
            ".com",
            ".command",
            ".dll",
            ".dylib",
            ".exe",
            ".hta",
            ".jar",
            ".jse",
            ".msi",
            ".node",
            ".ps1",
            ".psd1",
            ".psm1",
            ".pyc",
            ".pyd",
            ".scr",
            ".so",
            ".vbe",
            ".vbs",
            ".war",
            ".wsf",
        ],
        folders: &["__pycache__"],
    },
    Names {
        class: AutorunClass::Loaded,
        whole: &[],
        stems: &[],
        endings: &[
            ".dill", ".docm", ".ipynb", ".joblib", ".pickle", ".pkl", ".pptm", ".rdata", ".rds", ".xlam", ".xlsm",
        ],
        folders: &[],
    },
];

/// Words that end in `rc` and are no configuration.
const NO_RC: [&str; 8] = ["arc", "circ", "crc", "irc", "marc", "orc", "rc", "src"];

/// Extensions that a `*rc` file has, if any.
const RC_EXTENSIONS: [&str; 13] =
    ["", "cjs", "conf", "ini", "js", "json", "json5", "lua", "mjs", "toml", "ts", "yaml", "yml"];

/// The class of a file at this relative path; `None` for one that is copied without a question.
pub fn class_of(path: &Path, kind: FileKind) -> Option<AutorunClass> {
    match kind {
        FileKind::Link => return Some(AutorunClass::Link),
        FileKind::Submodule => return Some(AutorunClass::Submodule),
        FileKind::Plain | FileKind::Executable => {}
    }
    let Some(path) = path.to_str().filter(|path| !is_disguised(path)) else {
        return Some(AutorunClass::Disguised);
    };
    let parts: Vec<String> = path.split(['/', '\\']).map(comparable).collect();
    let (file, folders) = parts.split_last()?;
    let by_name = CLASSES.iter().find(|names| names.matches(folders, file)).map(|names| names.class);
    by_name
        .or_else(|| parts.iter().any(|part| part.starts_with('.')).then_some(AutorunClass::Hidden))
        .or_else(|| is_config(file).then_some(AutorunClass::Config))
        .or_else(|| (kind == FileKind::Executable).then_some(AutorunClass::Program))
}

/// Is a component of the path git's own folder, for the most lenient file system?
pub fn is_in_git_folder(path: &Path) -> bool {
    path.to_string_lossy().split(['/', '\\']).any(|part| matches!(comparable(part).as_str(), ".git" | "git~1"))
}

impl Names {
    fn matches(&self, folders: &[String], file: &str) -> bool {
        let has_stem = |stem: &&str| {
            file.strip_prefix(*stem).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']))
        };
        self.whole.contains(&file)
            || self.stems.iter().any(has_stem)
            || self.endings.iter().any(|ending| file.ends_with(ending))
            || folders.iter().chain([&file.to_owned()]).any(|folder| self.folders.contains(&folder.as_str()))
    }
}

/// `*.config.*`, `*.config`, and `*rc` with no extension or one of a configuration.
fn is_config(file: &str) -> bool {
    let (stem, extension) = file.split_once('.').unwrap_or((file, ""));
    file.contains(".config.")
        || file.ends_with(".config")
        || file.contains(".conf.")
        || (stem.ends_with("rc") && !NO_RC.contains(&stem) && RC_EXTENSIONS.contains(&extension))
}

/// A component as the most lenient file system reads it: Windows drops dots and blanks at the end and what follows `:`,
/// macOS drops invisible characters, and both ignore case.
pub fn comparable(part: &str) -> String {
    let seen: String = part.chars().filter(|c| !text::is_hidden(*c)).collect::<String>().to_lowercase();
    let seen = seen.replace('ſ', "s");
    let seen = seen.split(':').next().unwrap_or_default();
    match seen.trim_end_matches(['.', ' ']) {
        "" => seen.to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// Does a name hide something: characters that are not seen, an end that some systems drop, a short name of Windows?
fn is_disguised(path: &str) -> bool {
    path.chars().any(|c| c.is_control() || text::is_hidden(c) || c == '\\')
        || path.split('/').any(|part| {
            let short = part.rsplit_once('~').is_some_and(|(stem, rest)| {
                !stem.is_empty()
                    && stem.len() <= 6
                    && rest.split('.').next().is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            });
            short || part.contains(':') || part.ends_with(['.', ' '])
        })
}

#[cfg(test)]
mod tests {
    use super::AutorunClass::{Agent, Build, Config, Desktop, Disguised, Hidden, Loaded, Pipeline, Program};
    use super::*;

    #[test]
    fn what_runs_by_itself_has_a_class() {
        let table: &[(AutorunClass, &[&str])] = &[
            (
                Agent,
                &[
                    "AGENTS.md",
                    "sub/agents.override.md",
                    "CLAUDE.md",
                    "claude.local.md",
                    "GEMINI.md",
                    ".cursorrules",
                    ".windsurfrules",
                    ".github/copilot-instructions.md",
                    ".claude/settings.json",
                    ".cursor/rules/a.mdc",
                    "docs/a.instructions.md",
                    ".mcp.json",
                    "claude-bottle.json",
                    ".gemini/settings.json",
                    ".aider.conf.yml",
                    "skills/x/SKILL.md",
                ],
            ),
            (
                Pipeline,
                &[
                    ".github/workflows/ci.yml",
                    "Jenkinsfile",
                    "azure-pipelines.yml",
                    ".Husky/pre-commit",
                    "lefthook.yml",
                    "hooks/post-checkout",
                    ".circleci/config.yml",
                    "bitbucket-pipelines.yml",
                ],
            ),
            (
                Build,
                &[
                    "Makefile",
                    "a/makefile",
                    "GNUmakefile",
                    "rules.mk",
                    "Makefile.am",
                    "CMakeLists.txt",
                    "a.cmake",
                    "meson.build",
                    "package.json",
                    "web/Package.JSON",
                    "package-lock.json",
                    "Cargo.toml",
                    "build.rs",
                    "a.csproj",
                    "Directory.Build.props",
                    "a.targets",
                    "build.gradle",
                    "build.gradle.kts",
                    "settings.gradle",
                    "gradlew",
                    "gradle/wrapper/gradle-wrapper.jar",
                    "pom.xml",
                    "flake.nix",
                    "shell.nix",
                    "compose.yaml",
                    "docker-compose.override.yml",
                    "Dockerfile",
                    "dockerfile.dev",
                    "Vagrantfile",
                    "Rakefile",
                    "Gemfile.lock",
                    "setup.py",
                    "pyproject.toml",
                    "conftest.py",
                    "noxfile.py",
                    "tox.ini",
                    "sitecustomize.py",
                    "lib/evil.pth",
                    "justfile",
                    "Taskfile.yml",
                    "Procfile",
                    "BUILD",
                    "WORKSPACE",
                    "BUILD.bazel",
                    "deno.json",
                    "tsconfig.build.json",
                    "requirements-dev.txt",
                    "go.mod",
                    "composer.json",
                    "configure",
                    "magefile.go",
                ],
            ),
            (
                Config,
                &[
                    "vite.config.ts",
                    "jest.config.js",
                    "a/next.config.mjs",
                    "web.config",
                    "eslintrc.json",
                    "bashrc",
                    "_vimrc",
                    "nginx.conf.d",
                ],
            ),
            (
                Hidden,
                &[
                    ".envrc",
                    "sub/.envrc",
                    ".env.local",
                    ".gitattributes",
                    ".gitmodules",
                    ".bashrc",
                    ".npmrc",
                    ".direnv/x",
                    ".pre-commit-config.yaml",
                    ".new-tool/anything",
                    ".git",
                    "sub/.GIT/config",
                    ".eslintrc",
                    ".bazelrc",
                ],
            ),
            (
                Desktop,
                &[
                    "a.desktop",
                    "a.lnk",
                    "a.URL",
                    "autorun.inf",
                    "a.code-workspace",
                    ".vscode/tasks.json",
                    ".idea/a.xml",
                    "a.service",
                    "desktop.ini",
                ],
            ),
            (Program, &["run.bat", "a.PS1", "lib/a.so", "a.dll", "a.pyc", "a.jar"]),
            (Loaded, &["a.ipynb", "model.pkl", "a.xlsm"]),
            (
                Disguised,
                &[
                    "GIT~1/config",
                    ".git./config",
                    "Makefile ",
                    "a\u{200d}.txt",
                    ".g\u{200c}it/config",
                    "a\nb",
                    "a\\..\\.git",
                    "package.json::$DATA",
                    "sub./x",
                ],
            ),
        ];
        for (class, names) in table {
            for name in *names {
                assert_eq!(class_of(name.as_ref(), FileKind::Plain), Some(*class), "{name:?}");
                assert!(class_of(name.as_ref(), FileKind::Executable) == Some(*class), "{name:?}");
            }
        }
        assert!(table.iter().map(|(_, names)| names.len()).sum::<usize>() >= 100);
    }

    #[test]
    fn what_is_only_source_or_text_has_none() {
        let names = [
            "src/main.rs",
            "README.md",
            "envrc.md",
            "package.json.md",
            "github/ci.yml",
            "src/build.rs.txt",
            "a/src",
            "src/arc.rs",
            "src/crc.js",
            "search.js",
            "lib.rs",
            "mod.rs",
            "index.html",
            "style.css",
            "app.tsx",
            "app.vue",
            "main.go",
            "main_test.go",
            "Main.java",
            "Main.kt",
            "a.swift",
            "a.c",
            "a.h",
            "a.cpp",
            "a.hpp",
            "a.py",
            "tests/test_a.py",
            "__init__.py",
            "a.rb",
            "a.php",
            "a.ex",
            "a.hs",
            "a.ml",
            "a.clj",
            "a.scala",
            "a.sql",
            "a.sh",
            "a.proto",
            "a.graphql",
            "a.json",
            "data.yaml",
            "a.toml",
            "a.csv",
            "a.xml",
            "a.svg",
            "a.png",
            "LICENSE",
            "CHANGELOG.md",
            "docs/guide.rst",
            "config/settings.rb",
            "configuration.md",
            "dockerfiles.md",
            "makefiles/x.txt",
            "claudette.md",
            "agentsmith.py",
            "composer.rs",
            "composed.yml",
            "updates.md",
            "builder.rs",
            "workspaces/a.txt",
            "hooks/useState.ts",
            "src/hooks.ts",
            "resource.rc.txt",
            "source.rs",
            "src/update.rs",
            "tilde~x.txt",
            "a~backup.txt",
            "prose.md",
            "fonts/a.woff2",
            "",
        ];
        for name in names {
            assert_eq!(class_of(name.as_ref(), FileKind::Plain), None, "{name:?}");
        }
        assert!(names.len() >= 70, "{}", names.len());
        assert_eq!(class_of("a.sh".as_ref(), FileKind::Executable), Some(Program));
        assert_eq!(class_of("a.txt".as_ref(), FileKind::Link), Some(AutorunClass::Link));
        assert_eq!(class_of("vendor/x".as_ref(), FileKind::Submodule), Some(AutorunClass::Submodule));
    }

    #[test]
    fn gits_own_folder_is_known_by_every_name() {
        for path in [".git/x", "a/.GIT", ".git./x", ".git /x", "GIT~1/x", ".g\u{200c}it/x", ".git::$INDEX_ALLOCATION/x"]
        {
            assert!(is_in_git_folder(path.as_ref()), "{path:?}");
        }
        for path in [".github/x", "git/x", ".gitignore", "a.git/x", "git~10"] {
            assert!(!is_in_git_folder(path.as_ref()), "{path:?}");
        }
    }
}
