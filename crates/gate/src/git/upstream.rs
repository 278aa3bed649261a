//! Where the repository of a remote is.

use crate::git::https::HttpsUpstream;
use crate::git::ssh::SshUpstream;
use std::sync::Arc;

/// The gate's own repository, to which the host brings nothing but takes from it what was pushed.
pub struct LocalUpstream {
    /// Commits and tags that the host has.
    pub base: Vec<String>,
}

pub enum UpstreamRepository {
    Ssh(SshUpstream),
    Https(Arc<HttpsUpstream>),
    /// The gate's own repository.
    Local(LocalUpstream),
}
