//! Files that run by themselves on the machine they are copied to: when a folder is opened in an editor or entered by a
//! shell, at a build, a test or a push. `work apply` asks for them separately. Pure.

/// Names of directories whose files run by themselves, at any depth.
const FOLDERS: [&str; 20] = [
    ".buildkite",
    ".cargo",
    ".circleci",
    ".claude",
    ".cursor",
    ".devcontainer",
    ".direnv",
    ".fleet",
    ".forgejo",
    ".git",
    ".gitea",
    ".githooks",
    ".github",
    ".gitlab",
    ".husky",
    ".idea",
    ".mvn",
    ".vscode",
    ".woodpecker",
    ".zed",
];

/// Names of such files, at any depth.
const FILES: [&str; 57] = [
    ".bazelrc",
    ".drone.yml",
    ".env",
    ".envrc",
    ".exrc",
    ".gitattributes",
    ".gitlab-ci.yml",
    ".gitmodules",
    ".lvimrc",
    ".mcp.json",
    ".mise.toml",
    ".npmrc",
    ".nvim.lua",
    ".nvimrc",
    ".pnp.cjs",
    ".pnp.loader.mjs",
    ".pre-commit-config.yaml",
    ".tool-versions",
    ".travis.yml",
    ".vimrc",
    ".woodpecker.yml",
    ".yarnrc",
    ".yarnrc.yml",
    "agents.md",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    "bsconfig.json",
    "build.gradle",
    "build.gradle.kts",
    "build.rs",
    "claude-bottle.json",
    "claude.local.md",
    "claude.md",
    "cmakelists.txt",
    "composer.json",
    "conftest.py",
    "dockerfile",
    "gemfile",
    "gnumakefile",
    "gulpfile.js",
    "jenkinsfile",
    "justfile",
    "lefthook.yaml",
    "lefthook.yml",
    "makefile",
    "mise.toml",
    "package.json",
    "pom.xml",
    "pyproject.toml",
    "rakefile",
    "settings.gradle",
    "settings.gradle.kts",
    "setup.cfg",
    "setup.py",
    "sitecustomize.py",
    "tox.ini",
    "usercustomize.py",
];

/// Does the file at this relative path run by itself? Case does not count, because some disks ignore it.
pub fn runs_by_itself(path: &str) -> bool {
    let path = path.to_lowercase();
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", &path));
    folders.split('/').any(|folder| FOLDERS.contains(&folder))
        || FOLDERS.contains(&file)
        || FILES.contains(&file)
        || file.ends_with(".pth")
        || file.ends_with(".code-workspace")
        || file.starts_with("dockerfile.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_by_itself() {
        for path in [
            ".envrc",
            "sub/.envrc",
            ".claude/settings.json",
            "a/b/.vscode/tasks.json",
            ".Husky/pre-commit",
            ".github/workflows/ci.yml",
            "package.json",
            "web/Package.JSON",
            "build.rs",
            "Makefile",
            "CLAUDE.md",
            "claude-bottle.json",
            "lib/evil.pth",
            ".git",
            "sub/.git/config",
        ] {
            assert!(runs_by_itself(path), "{path}");
        }
        for path in ["src/main.rs", "README.md", "envrc", "package.json.md", "github/ci.yml", "src/build.rs.txt", ""] {
            assert!(!runs_by_itself(path), "{path}");
        }
    }

    #[test]
    fn the_lists_are_sorted_and_small() {
        assert!(FOLDERS.is_sorted() && FILES.is_sorted());
        assert!(FOLDERS.iter().chain(&FILES).all(|name| name.to_lowercase() == **name));
    }
}
