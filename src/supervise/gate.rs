//! Asks the gate of a running session on its control socket. What is handed over goes by stdin.

use crate::docker::Docker;
use crate::exit::{EngineError, UserError};
use crate::plan::Plan;
use serde_json::Value;

/// Why the gate did not do what it was asked for.
pub enum GateRefusal {
    /// It said so, and has changed nothing.
    Refused(String),
    /// There was no answer: it may have done it.
    NoAnswer(EngineError),
}

impl From<GateRefusal> for anyhow::Error {
    fn from(refusal: GateRefusal) -> Self {
        match refusal {
            GateRefusal::Refused(why) => UserError::new(format!("the gate says: {why}")).into(),
            GateRefusal::NoAnswer(error) => error.into(),
        }
    }
}

/// Runs a verb of the gate's `ctl` with this input.
///
/// # Errors
/// The gate's own error, or the engine's.
pub fn ask(docker: &Docker, plan: &Plan, words: &[&str], input: Vec<u8>) -> Result<(), GateRefusal> {
    let call = docker.begin_with_input(&plan.ctl(words), input).map_err(GateRefusal::NoAnswer)?;
    let (said, failure) = call.finish_with_output().map_err(GateRefusal::NoAnswer)?;
    let answer: Option<Value> = serde_json::from_str(&said).ok().filter(Value::is_object);
    if let Some(why) = answer.as_ref().and_then(|answer| answer.get("error")) {
        return Err(GateRefusal::Refused(why.as_str().unwrap_or("it failed").to_owned()));
    }
    match (answer, failure) {
        (_, Some(error)) => Err(GateRefusal::NoAnswer(error)),
        (Some(_), None) => Ok(()),
        (None, None) => Err(GateRefusal::NoAnswer(EngineError::new("the gate's answer is not understood"))),
    }
}
