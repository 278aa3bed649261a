//! What a scan found, in words: an alarm for the operator, and a denial for the agent.

use crate::audit::alarms::AlarmSender;
use policy::{Denial, Reason};
use scan::dlp::{Action, Finding, Scan, SecretClass, Stop, Subject};
use wire::Done;

/// Raises an alarm for each finding of `scan`. `part`: the part of the request that was scanned last. The error is the
/// denial, if the scan stopped there.
pub fn report(alarms: &AlarmSender, scan: &mut Scan, ended: Result<(), Stop>, part: &str) -> Result<(), Denial> {
    for note in scan.notes() {
        let done = if note.done == Action::Mask { Done::Masked } else { Done::Passed };
        alarms.alarm(&for_operator(&note, part), scan.name_of(&note), done);
    }
    ended.map_err(|stop| {
        if let Stop::Found(finding) = &stop {
            alarms.alarm(&for_operator(finding, part), scan.name_of(finding), Done::Blocked);
        }
        denial(&stop, part)
    })
}

fn denial(stop: &Stop, part: &str) -> Denial {
    let text = match stop {
        Stop::Unread(why) => format!("{part} cannot be read: {why}"),
        Stop::Found(Finding { subject, how, .. }) => {
            format!("{part} carries {} ({how})", for_agent(*subject))
        }
    };
    Denial::new(Reason::Dlp, text)
}

/// What was found, for the agent, which is not told which of its values it was.
pub fn for_agent(subject: Subject) -> &'static str {
    match subject {
        Subject::Known(SecretClass::GateOnly, _) => "a credential that only the gate may send",
        Subject::Known(..) => "a secret that this bottle was given",
        Subject::Pattern(name) | Subject::Hint(name) | Subject::Unreadable(name) => name,
    }
}

fn for_operator(finding: &Finding, part: &str) -> String {
    let Finding { subject, how, .. } = finding;
    let what = match subject {
        Subject::Known(SecretClass::GateOnly, _) => "a value of the gate's alone",
        Subject::Known(SecretClass::AgentVisible, _) => "a value that the agent was given",
        Subject::Known(SecretClass::Canary, _) => "the planted credential",
        Subject::Pattern(name) | Subject::Hint(name) | Subject::Unreadable(name) => name,
    };
    format!("{what} in {part} ({how})")
}
