//! Registries of packages, known by the shape of what is asked of them: a hint for a person, never a decision.

/// What a registry is asked for, as patterns of paths, where a request has its shape.
pub struct Registry {
    pub name: &'static str,
    paths: fn(&Asked) -> Option<Vec<String>>,
}

struct Asked<'a> {
    host: &'a str,
    path: &'a str,
    /// Segments of the path.
    segments: Vec<&'a str>,
}

const REGISTRIES: [Registry; 8] = [
    Registry { name: "npm", paths: npm },
    Registry { name: "PyPI", paths: pypi },
    Registry { name: "crates", paths: crates },
    Registry { name: "Go modules", paths: go },
    Registry { name: "Debian packages", paths: debian },
    Registry { name: "RubyGems", paths: ruby },
    Registry { name: "Maven", paths: maven },
    Registry { name: "container images", paths: oci },
];

/// The registry that a GET of this path has the shape of, and patterns of what else it will be asked for.
///
/// `path`: normalised.
pub fn registry(host: &str, path: &str) -> Option<(&'static str, Vec<String>)> {
    let asked = Asked { host, path, segments: path.split('/').skip(1).collect() };
    REGISTRIES.iter().find_map(|registry| Some((registry.name, (registry.paths)(&asked)?)))
}

fn all(patterns: &[&str]) -> Option<Vec<String>> {
    Some(patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
}

/// A tarball, or a package's page at a host that says what it is: both kinds of names, scoped and not.
fn npm(asked: &Asked) -> Option<Vec<String>> {
    let is_tarball = asked.path.contains("/-/") && asked.path.ends_with(".tgz");
    let is_page = asked.host.split('.').any(|label| label.contains("npm")) && (1..=2).contains(&asked.segments.len());
    (is_tarball || is_page).then(|| all(&["/*", "/*/*", "/*/-/*", "/*/*/-/*"]))?
}

fn pypi(asked: &Asked) -> Option<Vec<String>> {
    match asked.segments.as_slice() {
        ["simple", _, ..] => all(&["/simple/**"]),
        ["packages", .., file]
            if [".whl", ".tar.gz", ".whl.metadata", ".zip"].iter().any(|end| file.ends_with(end)) =>
        {
            all(&["/packages/**"])
        }
        _ => None,
    }
}

/// The sparse index of cargo, and the downloads.
fn crates(asked: &Asked) -> Option<Vec<String>> {
    let is_indexed = match asked.segments.as_slice() {
        ["config.json"] => true,
        ["3", first, name] => first.len() == 1 && name.starts_with(first),
        [first, second, name] if first.len() == 2 && second.len() == 2 => {
            name.strip_prefix(first).is_some_and(|rest| rest.starts_with(second))
        }
        _ => false,
    };
    match asked.segments.as_slice() {
        _ if is_indexed => all(&["/config.json", "/1/*", "/2/*", "/3/*/*", "/*/*/*"]),
        ["api", "v1", "crates", _, _, "download"] => all(&["/api/v1/crates/*/*/download"]),
        ["crates", _, _, "download"] => all(&["/crates/*/*/download"]),
        ["crates", _, file] if file.ends_with(".crate") => all(&["/crates/*/*"]),
        _ => None,
    }
}

fn go(asked: &Asked) -> Option<Vec<String>> {
    let is_module = asked.segments.contains(&"@v") || asked.segments.last() == Some(&"@latest");
    is_module.then(|| all(&["/**"]))?
}

fn debian(asked: &Asked) -> Option<Vec<String>> {
    let at = asked.segments.iter().position(|segment| ["dists", "pool"].contains(segment))?;
    let last = asked.segments.last()?;
    let is_file = last.ends_with(".deb")
        || ["Release", "InRelease", "Packages"].iter().any(|name| last.starts_with(name))
        || asked.segments.contains(&"by-hash");
    let prefix: String = asked.segments[..at].iter().map(|segment| format!("/{segment}")).collect();
    is_file.then(|| vec![format!("{prefix}/dists/**"), format!("{prefix}/pool/**")])
}

fn ruby(asked: &Asked) -> Option<Vec<String>> {
    let is_gem = matches!(asked.segments.as_slice(), ["gems", file] if file.ends_with(".gem"));
    (is_gem || asked.path == "/versions").then(|| all(&["/gems/*", "/info/*", "/versions", "/names"]))?
}

fn maven(asked: &Asked) -> Option<Vec<String>> {
    let ends = [".pom", ".jar", ".module", "/maven-metadata.xml"];
    let is_artifact =
        asked.segments.len() >= 4 && ends.iter().any(|end| asked.path.trim_end_matches(".sha1").ends_with(end));
    is_artifact.then(|| vec![format!("/{}/**", asked.segments[0])])
}

/// One repository: a registry of images has those of everybody.
fn oci(asked: &Asked) -> Option<Vec<String>> {
    let at = asked.segments.iter().rposition(|segment| ["manifests", "blobs"].contains(segment))?;
    if asked.segments[0] != "v2" || at < 2 || at + 2 != asked.segments.len() {
        return None;
    }
    let repository = asked.segments[1..at].join("/");
    Some(vec!["/v2/".to_owned(), format!("/v2/{repository}/manifests/*"), format!("/v2/{repository}/blobs/*")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::PathPattern;

    #[test]
    fn registries_are_known_by_what_is_asked_of_them() {
        for (host, path, wanted) in [
            ("npm.example", "/left-pad", Some("npm")),
            ("a.example", "/left-pad/-/left-pad-1.3.0.tgz", Some("npm")),
            ("a.example", "/@types/node/-/node-20.1.0.tgz", Some("npm")),
            ("npm.example", "/@types%2Fnode", Some("npm")),
            ("a.example", "/simple/requests/", Some("PyPI")),
            ("a.example", "/packages/ab/cd/0123/requests-2.0-py3-none-any.whl", Some("PyPI")),
            ("a.example", "/config.json", Some("crates")),
            ("a.example", "/se/rd/serde", Some("crates")),
            ("a.example", "/3/s/syn", Some("crates")),
            ("a.example", "/crates/serde/serde-1.0.0.crate", Some("crates")),
            ("a.example", "/golang.org/x/net/@v/list", Some("Go modules")),
            ("a.example", "/debian/dists/trixie/InRelease", Some("Debian packages")),
            ("a.example", "/debian/pool/main/g/gdb/gdb_1_amd64.deb", Some("Debian packages")),
            ("a.example", "/gems/rake-13.0.gem", Some("RubyGems")),
            ("a.example", "/maven2/org/x/y/1.0/y-1.0.pom", Some("Maven")),
            ("a.example", "/v2/team/app/manifests/latest", Some("container images")),
            ("a.example", "/", None),
            ("a.example", "/left-pad", None),
            ("a.example", "/api/v1/users", None),
            ("a.example", "/ab/cd/xyz", None),
            ("a.example", "/files/dists/readme", None),
        ] {
            let found = registry(host, path);
            assert_eq!(found.as_ref().map(|(name, _)| *name), wanted, "{host}{path}");
            if let Some((_, patterns)) = found {
                let fits = |text: &String| PathPattern::try_from(text.clone()).unwrap().matches(path);
                assert!(patterns.iter().any(fits), "{path}: {patterns:?}");
            }
        }
    }
}
