//! What a scan found, in words: an alarm for the operator, and a denial for the agent.

use crate::audit::alarms::AlarmSender;
use policy::{Denial, Reason};
use scan::dlp::{Action, Finding, Scan, SecretClass, Stop, Subject};
use wire::Done;

/// What lets a finding pass that is no secret, for the operator who reads the agent's refusal or the trail.
const REMEDY: &str =
    "if it is no secret, the operator lets it pass with `\"dlp\": \"warn\"` on this route in the manifest";
const NO_REMEDY: &str = "nothing in the manifest lets it pass";

/// Raises an alarm for each finding of `scan`. `part`: the part of the request that was scanned last. The error is the
/// denial, if the scan stopped there.
pub fn report(alarms: &AlarmSender, scan: &mut Scan, ended: Result<(), Stop>, part: &str) -> Result<(), Denial> {
    raise(alarms, scan, &ended, part);
    ended.map_err(|stop| denial(&stop, part))
}

/// Like [`report`], for a part that no key of the manifest lets pass with a secret.
pub fn report_always(alarms: &AlarmSender, scan: &mut Scan, ended: Result<(), Stop>, part: &str) -> Result<(), Denial> {
    raise(alarms, scan, &ended, part);
    ended.map_err(|stop| Denial::new(Reason::Dlp, format!("{}; {NO_REMEDY}", what(&stop, part))))
}

fn raise(alarms: &AlarmSender, scan: &mut Scan, ended: &Result<(), Stop>, part: &str) {
    for note in scan.notes() {
        let done = if note.done == Action::Mask { Done::Masked } else { Done::Passed };
        alarms.alarm(&for_operator(&note, part), scan.name_of(&note), done);
    }
    if let Err(Stop::Found(finding)) = ended {
        alarms.alarm(&for_operator(finding, part), scan.name_of(finding), Done::Blocked);
    }
}

fn denial(stop: &Stop, part: &str) -> Denial {
    let what = what(stop, part);
    let text = match stop {
        Stop::Unread(_) => what,
        Stop::Found(Finding { subject: Subject::Known(SecretClass::GateOnly, _), .. }) => {
            format!("{what}; {NO_REMEDY}")
        }
        Stop::Found(_) => format!("{what}; {REMEDY}"),
    };
    Denial::new(Reason::Dlp, text)
}

/// What was found and where, without any part of it.
fn what(stop: &Stop, part: &str) -> String {
    match stop {
        Stop::Unread(why) => format!("{part} cannot be read: {why}"),
        Stop::Found(Finding { subject, how, place, .. }) => {
            let mut text = format!("{part} carries {} ({how})", for_agent(*subject));
            // What stands in backticks differs from one finding to the next of a kind.
            if let Some(file) = &place.file {
                text += &format!(", in the file `{file}`");
            }
            if let Some(field) = &place.field {
                text += &format!(", in the field `{field}`");
            }
            if let Some(at) = place.at.filter(|at| *at > 0) {
                text += &format!(", near byte `{at}`");
            }
            text
        }
    }
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
