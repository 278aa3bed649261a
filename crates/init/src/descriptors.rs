//! The limit of open file descriptors.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub struct DescriptorLimit {
    /// The soft limit that this process was started with; the command gets it back.
    pub soft: u64,
    /// The limit that is in force now.
    pub raised: u64,
}

/// The soft limit of this process.
pub fn soft_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
}

/// Raises the soft limit to the hard limit, because the door needs two descriptors for each connection.
pub fn raise_limit() -> DescriptorLimit {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    let raised = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    DescriptorLimit { soft, raised }
}

/// Sets the soft limit back to `soft`.
pub fn restore_limit(soft: u64) {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
}
