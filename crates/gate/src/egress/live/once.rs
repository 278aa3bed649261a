//! What the operator allowed for one request each: the policy by which that request is judged where the one in force denies
//! it.

use crate::egress::live::snapshot::PolicySnapshot;
use policy::PathPattern;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use wire::Change;

/// How long the request may be made.
const ONCE_LIFETIME: Duration = Duration::from_secs(60);
/// Requests that are allowed at once and were not made yet.
const MAX_ONCE: usize = 64;

/// Those that were not used yet.
#[derive(Default)]
pub struct OncePolicies {
    all: Mutex<Vec<OncePolicy>>,
    made: AtomicU64,
}

struct OncePolicy {
    /// The one that was decided about.
    change: Change,
    paths: PathPattern,
    snapshot: Arc<PolicySnapshot>,
    ends: Instant,
}

impl OncePolicies {
    /// A generation for the next policy: one of its own, because connections are shared within a generation, and none that a
    /// reload makes.
    pub fn next_generation(&self) -> u64 {
        u64::MAX - self.made.fetch_add(1, Relaxed)
    }

    /// Allows one request of this change; allowed again before it was made, it is still one. The error is for the operator.
    pub fn add(&self, change: &Change, snapshot: Arc<PolicySnapshot>) -> Result<(), String> {
        let Change::Egress { path, .. } = change else { return Err("only a request can be allowed once".to_owned()) };
        let paths = PathPattern::try_from(path.clone())?;
        let mut policies = self.lock();
        policies.retain(|policy| policy.change != *change);
        if policies.len() >= MAX_ONCE {
            return Err(format!("{MAX_ONCE} other requests are allowed once and were not made yet"));
        }
        policies.push(OncePolicy { change: change.clone(), paths, snapshot, ends: Instant::now() + ONCE_LIFETIME });
        Ok(())
    }

    /// Takes back what was allowed and not used.
    pub fn remove(&self, change: &Change) {
        self.lock().retain(|policy| policy.change != *change);
    }

    /// The policies by which this request may be judged. `request`: always a [`Change::Egress`].
    pub fn find(&self, request: &Change) -> Vec<Arc<PolicySnapshot>> {
        let policies = self.lock();
        policies.iter().filter(|policy| policy.covers(request)).map(|policy| policy.snapshot.clone()).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Uses a policy up. False: another request did that already.
    pub fn take(&self, snapshot: &Arc<PolicySnapshot>) -> bool {
        let mut policies = self.lock();
        let index = policies.iter().position(|policy| Arc::ptr_eq(&policy.snapshot, snapshot));
        index.map(|index| policies.swap_remove(index)).is_some()
    }

    /// All that have not ended.
    fn lock(&self) -> MutexGuard<'_, Vec<OncePolicy>> {
        let mut policies = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if !policies.is_empty() {
            let now = Instant::now();
            policies.retain(|policy| now < policy.ends);
        }
        policies
    }
}

impl OncePolicy {
    fn covers(&self, request: &Change) -> bool {
        let (Change::Egress { host, port, method, .. }, Change::Egress { host: h, port: p, method: m, path }) =
            (&self.change, request)
        else {
            return false;
        };
        (host, port, method) == (h, p, m) && self.paths.matches(path)
    }
}
