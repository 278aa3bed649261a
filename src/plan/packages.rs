//! The Dockerfile of a session whose image has more packages than its bottle's: what the operator approved while it ran.
//!
//! The text is made of package names alone, which have a strict set of characters, and nothing of the agent's goes into
//! the build. The operator may change it by hand, so blocks are only ever added at its end.

use std::fmt::Write as _;
use wire::Packages;

/// How every such file begins. The build gives it the bottle's own image, so that a changed manifest applies, and the host's roots.
const HEAD: &str = "\
# Packages that were approved for this session, on top of the image of its bottle. `claude-bottle resume` builds it.
ARG FROM_IMAGE
FROM ${FROM_IMAGE}
USER 0:0
# Only for the programs below, which fetch through the network of this build.
COPY ca-bundle.crt /etc/claude-bottle-build-roots.crt
ENV PIP_CERT=/etc/claude-bottle-build-roots.crt \\
    NODE_EXTRA_CA_CERTS=/etc/claude-bottle-build-roots.crt \\
    CARGO_HTTP_CAINFO=/etc/claude-bottle-build-roots.crt
";

/// `before`, or a new file, with these packages as well.
pub fn with_packages(before: Option<&str>, packages: &Packages) -> String {
    let mut text = before.unwrap_or(HEAD).to_owned();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    // What installs a list must be there first.
    let mut apt = Vec::new();
    for (program, package, wanted) in
        [("npm", "npm", &packages.npm), ("pip", "python3-pip", &packages.pip), ("cargo", "cargo", &packages.cargo)]
    {
        if !wanted.is_empty() {
            apt.push(format!("RUN command -v {program} || {}", apt_install(package)));
        }
    }
    let mut steps = Vec::new();
    if !packages.apt.is_empty() {
        steps.push(format!("RUN {}", apt_install(&packages.apt.join(" "))));
    }
    steps.append(&mut apt);
    if !packages.npm.is_empty() {
        steps.push(format!("RUN npm install --global --no-fund --no-audit -- {}", packages.npm.join(" ")));
    }
    if !packages.pip.is_empty() {
        // Debian marks its Python as managed, against mixtures in a system that lasts; older versions do not know the flag.
        let names = packages.pip.join(" ");
        steps.push(format!(
            "RUN pip install --no-cache-dir --break-system-packages -- {names} || pip install --no-cache-dir -- {names}"
        ));
    }
    if !packages.cargo.is_empty() {
        steps.push(format!("RUN cargo install --root /usr/local -- {}", packages.cargo.join(" ")));
    }
    for step in steps {
        // Approved again, it is the same file.
        if !text.lines().any(|line| line == step) {
            let _ = writeln!(text, "{step}");
        }
    }
    text
}

/// A command that installs these packages of Debian's, and leaves no lists behind. A name is a name: apt would take an unknown
/// one with a dot for an expression, and install all that fits it.
fn apt_install(names: &str) -> String {
    format!(
        "(apt-get update && apt-get install -y --no-install-recommends -o APT::Cmd::Pattern-Only=true -- {names} && rm -rf /var/lib/apt/lists/*)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(json: &str) -> Packages {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_program_installs_its_own() {
        let text = with_packages(None, &packages(r#"{"apt":["gdb","g++"],"npm":["@a/b"],"pip":["x"],"cargo":["y"]}"#));
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}:\n{text}"));
        let order = [
            "FROM ${FROM_IMAGE}",
            "--no-install-recommends -o APT::Cmd::Pattern-Only=true -- gdb g++ ",
            "command -v npm || (apt-get update && apt-get install -y --no-install-recommends -o APT::Cmd::Pattern-Only=true -- npm ",
            "command -v pip || ",
            "command -v cargo || ",
            "npm install --global --no-fund --no-audit -- @a/b",
            "-- x || pip",
            "cargo install --root /usr/local -- y",
        ];
        assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{text}");
    }

    #[test]
    fn a_second_approval_is_added_to_the_first() {
        let first = with_packages(None, &packages(r#"{"apt":["gdb"]}"#));
        let edited = first.trim_end().to_owned() + "\nRUN true";
        let second = with_packages(Some(&edited), &packages(r#"{"apt":["strace"]}"#));
        assert!(second.starts_with(&edited) && second.contains("RUN true\nRUN (apt-get"), "{second}");
        assert_eq!(second.matches("FROM ").count(), 1);
        assert_eq!(with_packages(Some(&second), &packages(r#"{"apt":["gdb"]}"#)), second);
        assert!(!first.contains("npm install") && !first.contains("pip install"), "{first}");
    }
}
