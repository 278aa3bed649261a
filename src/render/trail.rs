//! Lines of the audit trail as text. Hosts, paths and reasons come from inside a bottle: each stays on its line, and hidden
//! characters are made visible.

use super::size;
use crate::text::one_line;
use serde_json::Value;
use wire::{Alarm, Audit, Change, Done, Event, GitAudit, GitOperation, Line, Outcome, Verdict};

/// Digits of an object id that are shown.
const SHORT_ID: usize = 10;

/// One line without its time. An event that only gates of other versions write is shown by its fields.
pub fn trail(line: &Line) -> String {
    let text = event_text(&line.event);
    match line.repeated {
        0 => text,
        count => format!("{text} ({count} like it, this is the last)"),
    }
}

fn event_text(event: &Event) -> String {
    match event {
        Event::Request(audit) | Event::Connection(audit) => decision_text(audit),
        Event::Git(audit) => git_text(audit),
        Event::Alarm(alarm) => alarm_text(alarm),
        Event::Dropped { count, full: true } => format!("!!    {count} lines are missing here: the trail is full"),
        Event::Dropped { count, full: false } => {
            format!("!!    {count} lines are missing here: nobody read them in time")
        }
        Event::Proposal(proposal) => {
            format!("proposal {}: {}", change_text(&proposal.change), one_line(&proposal.reason))
        }
        Event::Decided(decision) => {
            let verdict = match decision.verdict {
                Verdict::Approved => "approved",
                Verdict::Once => "approved once",
                Verdict::Rejected => "rejected",
            };
            let reason = decision.reason.as_ref().map(|reason| format!(": {}", one_line(reason)));
            format!("{verdict} {}{}", change_text(&decision.change), reason.unwrap_or_default())
        }
        event => plain(&serde_json::to_value(event).unwrap_or_default()),
    }
}

/// Is the event about something that did not pass, or should not have passed?
pub fn is_refused(event: &Event) -> bool {
    match event {
        // A program that does not trust the bottle's certificates refuses itself.
        Event::Request(audit) | Event::Connection(audit) => audit.verdict == Outcome::Deny || audit.denial.is_some(),
        Event::Git(audit) => audit.verdict == Outcome::Deny,
        // The missing lines may have been denials.
        Event::Alarm(_) | Event::Dropped { .. } | Event::Failed { .. } => true,
        _ => false,
    }
}

/// Seconds since 1970 of a time as gates write it: `2026-01-31T20:04:59.042Z`. `None` for any other text.
pub fn seconds(time: &str) -> Option<i64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, by: char| -> Option<[i64; 3]> {
        let numbers: Option<Vec<i64>> =
            text.split(by).map(|part| part.get(..part.len().min(9))?.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock.split('.').next()?, ':')?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year is taken to begin in March, so that a leap day is its last day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

fn decision_text(audit: &Audit) -> String {
    let mut words =
        vec![verdict_text(audit.verdict).to_owned(), request_text(&audit.method, &audit.host, audit.port, &audit.path)];
    words.extend(audit.status.map(|status| status.to_string()));
    words.push(amounts_text(audit.sent, audit.received, audit.ms));
    words.join(" ") + &cause_text(audit.reason.as_deref(), audit.finding.as_deref(), audit.rule.as_deref())
}

/// `allow git push app refs/heads/x 1f2e3d4..5a6b7c8 sent …`.
fn git_text(audit: &GitAudit) -> String {
    let operation = match audit.operation {
        GitOperation::Fetch => "git fetch",
        GitOperation::Push => "git push",
        GitOperation::Sign => "git signature",
    };
    let mut words = vec![verdict_text(audit.verdict).to_owned(), operation.to_owned()];
    words.extend((!audit.remote.is_empty()).then(|| one_line(&audit.remote)));
    words.extend(audit.object.as_deref().map(short));
    for update in &audit.refs {
        words.push(format!("{} {}..{}", one_line(&update.name), short(&update.old), short(&update.new)));
    }
    if audit.more_refs > 0 {
        words.push(format!("and {} more", audit.more_refs));
    }
    words.push(amounts_text(audit.sent, audit.received, audit.ms));
    if !audit.allowed_commits.is_empty() {
        let commits: Vec<String> = audit.allowed_commits.iter().map(|id| short(id)).collect();
        words.push(format!("(allowed by hand: {})", commits.join(", ")));
    }
    words.join(" ") + &cause_text(audit.reason.as_deref(), audit.finding.as_deref(), audit.rule.as_deref())
}

/// A change in words: `GET a.org/x`, `install apt: gdb`, `push to app: 1f2e3d4c5b`.
pub fn change_text(change: &Change) -> String {
    match change {
        Change::Egress { host, port, method, path } => request_text(method, host, *port, path),
        Change::Packages(packages) => {
            let lists = packages.lists().into_iter().filter(|(_, names)| !names.is_empty());
            let lists: Vec<String> =
                lists.map(|(program, names)| format!("{program}: {}", one_line(&names.join(" ")))).collect();
            format!("install {}", lists.join(", "))
        }
        // The whole ids: the beginning of one can be made for another commit.
        Change::Git { remote, commits } => format!("push to {}: {}", one_line(remote), one_line(&commits.join(" "))),
    }
}

/// The beginning of an object id.
fn short(id: &str) -> String {
    one_line(id).chars().take(SHORT_ID).collect()
}

fn verdict_text(verdict: Outcome) -> &'static str {
    match verdict {
        Outcome::Allow => "allow",
        Outcome::Deny => "DENY ",
        Outcome::Error => "error",
    }
}

fn amounts_text(sent: u64, received: u64, ms: u64) -> String {
    let bytes = |count| size(count).replace("bytes", "B");
    format!("sent {}, received {}, {ms} ms", bytes(sent), bytes(received))
}

fn cause_text(reason: Option<&str>, finding: Option<&str>, rule: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(reason) = reason {
        text.push_str(&format!(": {}", one_line(reason)));
    }
    if let Some(finding) = finding {
        text.push_str(&format!("; found: {}", one_line(finding)));
    }
    if let Some(rule) = rule {
        // Only the file's name: the whole path would be the same in every line.
        text.push_str(&format!(" [{}]", one_line(rule.rsplit('/').next().unwrap_or(rule))));
    }
    text
}

fn alarm_text(alarm: &Alarm) -> String {
    let done = match alarm.done {
        Done::Blocked => "blocked",
        Done::Masked => "masked",
        Done::Passed => "PASSED",
    };
    let request = request_text(&alarm.method, &alarm.host, alarm.port, &alarm.path);
    format!("ALARM {request}: {}: {done}", one_line(&alarm.finding))
}

/// A request in words: `GET a.org:8443/x`. The usual port, and what is empty, are left out.
pub(super) fn request_text(method: &str, host: &str, port: u16, path: &str) -> String {
    let port = if matches!(port, 443 | 0) { String::new() } else { format!(":{port}") };
    let method = if method.is_empty() { String::new() } else { format!("{} ", one_line(method)) };
    format!("{method}{}{port}{}", one_line(host), one_line(path))
}

/// An event by its fields: `ready version=0.1.0 fingerprint=ab`.
fn plain(event: &Value) -> String {
    let mut text = event["event"].as_str().unwrap_or("?").to_owned();
    let told = |key: &str, value: &Value| key != "event" && value.as_array().is_none_or(|all| !all.is_empty());
    for (key, value) in event.as_object().into_iter().flatten().filter(|(key, value)| told(key, value)) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!(" {key}={}", one_line(&value)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        trail(&serde_json::from_str(line).unwrap())
    }

    #[test]
    fn times_of_a_gate() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00.000Z", Some(0)),
            ("2023-11-14T22:13:20.042Z", Some(1_700_000_000)),
            ("2024-02-29T12:00:00.000Z", Some(1_709_208_000)),
            ("2100-03-01T00:00:00.000Z", Some(4_107_542_400)),
            ("2026-01-01", None),
            ("x-01-01T00:00:00.000Z", None),
            ("2026-13-01T00:00:00.000Z", None),
            ("9999999999999999999-01-01T00:00:00.000Z", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_line_stays_a_line() {
        let head = r#""seq":1,"time":"2026-01-01T00:00:00.000Z""#;
        for (event, wanted) in [
            (
                r#""event":"request","host":"a.org","port":443,"method":"GET","path":"/x","verdict":"allow","rule":"/h/m.json:7","status":200,"sent":0,"received":2048,"ms":12"#,
                "allow GET a.org/x 200 sent 0 B, received 2.0 KiB, 12 ms [m.json:7]",
            ),
            (
                r#""event":"request","host":"a.org","port":80,"method":"P\u0085","path":"/\u202ex\n","verdict":"deny","reason":"no\u001b[2J","finding":"a key","status":403,"sent":0,"received":1,"ms":0"#,
                "DENY  P\\u{85} a.org:80/\\u{202e}x\\u{a} 403 sent 0 B, received 1 B, 0 ms: no\\u{1b}[2J; found: a key",
            ),
            (
                r#""event":"connection","host":"db.org","port":5432,"verdict":"error","reason":"cannot resolve","sent":0,"received":0,"ms":1"#,
                "error db.org:5432 sent 0 B, received 0 B, 1 ms: cannot resolve",
            ),
            (
                r#""event":"alarm","host":"a.org","port":443,"method":"POST","path":"/","finding":"a token, base64, in the body","done":"blocked""#,
                "ALARM POST a.org/: a token, base64, in the body: blocked",
            ),
            (
                r#""repeated":7,"since":"2026-01-01T00:00:00.000Z","event":"alarm","host":"a.org","port":443,"finding":"a key","done":"masked""#,
                "ALARM a.org: a key: masked (7 like it, this is the last)",
            ),
            (
                r#""event":"git","remote":"app","operation":"push","verdict":"deny","rule":"/h/m.json:9","reason":"a finding","finding":"a key in a\nb","refs":[{"name":"refs/heads/x","old":"0000000000000000000000000000000000000000","new":"1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c"}],"more_refs":2,"sent":2048,"received":9,"ms":12"#,
                "DENY  git push app refs/heads/x 0000000000..1f2e3d4c5b and 2 more sent 2.0 KiB, received 9 B, 12 ms: a finding; found: a key in a\\u{a}b [m.json:9]",
            ),
            (
                r#""event":"git","remote":"app","operation":"fetch","verdict":"allow","allowed_commits":["1f2e3d4c5b6a"],"sent":1,"received":9,"ms":12"#,
                "allow git fetch app sent 1 B, received 9 B, 12 ms (allowed by hand: 1f2e3d4c5b)",
            ),
            (r#""event":"dropped","count":3"#, "!!    3 lines are missing here: nobody read them in time"),
            (r#""event":"dropped","count":3,"full":true"#, "!!    3 lines are missing here: the trail is full"),
            (r#""event":"ready","version":"1","fingerprint":"a\nb""#, "ready fingerprint=a\\u{a}b version=1"),
        ] {
            assert_eq!(shown(&format!("{{{head},{event}}}")), wanted);
        }
    }
}
