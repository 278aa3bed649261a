//! Tells the gate that a person is there for this session: while that is so, it may hold a refused request until there is a
//! decision.

use crate::docker::{Docker, ScopedStream};
use crate::facts::Terminal;
use crate::plan::Plan;
use std::io;

/// A call of the engine that lives as long as the person is there. The gate sees the end of its stdin.
pub struct Presence(ScopedStream);

impl Presence {
    /// Begins where a person is at the session's own terminal.
    pub fn at_terminal(docker: &Docker, plan: &Plan) -> Option<Presence> {
        (plan.terminal == Terminal::Tty).then(|| Presence::begin(docker, plan))?
    }

    /// Begins where the bottle's manifest has requests held. A gate that does not answer holds none.
    pub fn begin(docker: &Docker, plan: &Plan) -> Option<Presence> {
        plan.supervise.filter(|supervise| supervise.hold > 0)?;
        let mut stream = docker.stream_with_input(&plan.ctl(&["watch"])).ok()?;
        if let Some(mut stdout) = stream.child.stdout.take() {
            // What it counts is shown elsewhere. Without the thread the pipe is closed, and the watch ends.
            let _ = sys::thread::spawn(move || drop(io::copy(&mut stdout, &mut io::sink())));
        }
        Some(Presence(ScopedStream(stream)))
    }

    /// The gate, or the way to it, is gone.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.0.child.try_wait(), Ok(None))
    }
}
