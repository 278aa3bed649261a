//! Waiting in tests: always for something that is named, and never without a bound. A wait that ends in vain fails the test
//! and says what it waited for.

use std::time::{Duration, Instant};

/// The longest that a test waits for one thing. It is no measurement: a machine ten times slower than any of ours is still
/// well below it, and a test that reaches it hangs.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(300);

/// Between two looks at a condition that nothing announces. A busy loop would take the processor from what is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Waits until the condition holds.
///
/// # Panics
/// It does not hold within `WAIT_TIMEOUT`.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_some(what, || holds().then_some(()));
}

/// Waits until there is a value.
///
/// # Panics
/// There is none within `WAIT_TIMEOUT`.
#[track_caller]
pub fn until_some<T>(what: &str, mut look_up: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        if let Some(value) = look_up() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {WAIT_TIMEOUT:?} in vain for {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Awaits the future.
///
/// # Panics
/// It is not ready within `WAIT_TIMEOUT`.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(WAIT_TIMEOUT, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {WAIT_TIMEOUT:?} in vain for {what}"),
    }
}
