//! PID 1 of the agent's container. Not written yet: it fails closed.

pub fn run(_args: &[String]) -> i32 {
    125
}
