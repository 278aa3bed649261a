//! Tells the gate that a person is at this session's terminal: while that is so, it may hold a refused request until there is
//! a decision.

use crate::docker::{Docker, Stream};
use crate::facts::Terminal;
use crate::plan::Plan;
use std::io;

/// A call of the engine that lives as long as the terminal is attached. The gate sees the end of its stdin.
pub struct Presence(Option<Stream>);

impl Presence {
    /// Where the bottle's manifest has requests held, and the agent is on a terminal. A gate that does not answer holds none.
    pub fn begin(docker: &Docker, plan: &Plan) -> Option<Presence> {
        let holds = plan.supervise.is_some_and(|supervise| supervise.hold > 0);
        if !holds || plan.terminal != Terminal::Tty {
            return None;
        }
        let mut stream = docker.stream_with_input(&plan.ctl(&["watch"])).ok()?;
        if let Some(mut stdout) = stream.child.stdout.take() {
            // What it counts is shown elsewhere. Without the thread the pipe is closed, and the watch ends.
            let _ = sys::thread::spawn(move || drop(io::copy(&mut stdout, &mut io::sink())));
        }
        Some(Presence(Some(stream)))
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(mut stream) = self.0.take() {
            let _ = stream.child.kill();
            let _ = stream.wait();
        }
    }
}
