//! Where the repository of a remote is.

use crate::git::https::HttpsUpstream;
use crate::git::ssh::SshUpstream;
use std::sync::Arc;

pub enum UpstreamRepository {
    Ssh(SshUpstream),
    Https(Arc<HttpsUpstream>),
    /// The gate's own repository.
    Local,
}
