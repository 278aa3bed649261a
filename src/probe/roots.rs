//! The root certificates that the gate and image builds trust.

use super::certificates::check_certificates;
use super::variable;
use crate::exit::UserError;
use std::path::PathBuf;

/// The PEM bundle of `CLAUDE_BOTTLE_UPSTREAM_CA`, else the host's own, for upstreams and for image builds.
///
/// # Errors
/// `UserError` where there is none, or the variable names a file that is not one.
pub fn roots() -> Result<PathBuf, UserError> {
    if let Some(path) = variable("CLAUDE_BOTTLE_UPSTREAM_CA") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            return Err(UserError::new(format!("no file `{}` (`CLAUDE_BOTTLE_UPSTREAM_CA`)", path.display())));
        }
        check_certificates(&path)
            .map_err(|error| UserError { what: format!("`CLAUDE_BOTTLE_UPSTREAM_CA`: {}", error.what), ..error })?;
        return Ok(path);
    }
    const USUAL_BUNDLES: [&str; 5] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
        "/opt/homebrew/etc/ca-certificates/cert.pem",
    ];
    USUAL_BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()).ok_or_else(|| {
        UserError::new("this host has no bundle of root certificates")
            .hint("install `ca-certificates`, or name a PEM file in `CLAUDE_BOTTLE_UPSTREAM_CA`")
    })
}
