//! A push on its way to the upstream. The gate itself speaks git's protocol, and git only packs the objects: the commands
//! that were judged are the commands that are sent, each with the object id that its ref must have until then.

use crate::git::failure::Failure;
use crate::git::limits::{ADVERTISEMENT_TIMEOUT, MAX_PACK_BYTES, MAX_REMARK_BYTES, MAX_REPORT_BYTES, TRANSFER_TIMEOUT};
use crate::git::link::{Link, copy};
use crate::git::packets::{Packet, push_packet, read_packet};
use crate::git::pending::Pending;
use crate::git::remote::read_refs_of_push;
use std::collections::BTreeMap;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use wire::{GitCommand, GitUpdate, NO_OBJECT, visible};

/// What an upstream said to a push.
#[derive(Default)]
struct Answer {
    report: Vec<u8>,
    /// Its own words, for the agent.
    remarks: Vec<u8>,
    /// There were more of them.
    has_more_remarks: bool,
}

/// Pushes to the upstream: all updates or none. Returns the upstream's own words, line by line. `known`: the refs of the
/// repository.
pub async fn forward(pending: &Pending<'_>, known: &BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
    let Pending { tools, egress, remote, updates, .. } = *pending;
    let Some(mut link) = remote.open(egress, &tools.runner, GitCommand::ReceivePack).await? else {
        return Ok(Vec::new());
    };
    let read = timeout(ADVERTISEMENT_TIMEOUT, read_refs_of_push(&mut link, updates)).await;
    let (refs, capabilities) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Err(link.failure(&format!("the upstream cannot be read: {error}")).await),
        Err(_) => return Err(Failure::error("the upstream did not answer in time")),
    };
    let has = |wanted: &str| capabilities.iter().any(|word| word == wanted);
    for update in updates {
        if refs.get(&update.name).map_or(NO_OBJECT, String::as_str) != update.old {
            return Err(Failure::denied(format!(
                "the upstream's `{}` has changed meanwhile: fetch, merge or rebase, and push again",
                update.name
            )));
        }
    }
    if !has("report-status") || !has("side-band-64k") {
        return Err(Failure::error("the upstream's git is too old: it does not report what became of a push"));
    }
    if updates.len() > 1 && !has("atomic") {
        return Err(Failure::error("the upstream cannot take several refs as a whole: push one ref at a time"));
    }
    if updates.iter().any(|update| update.new == NO_OBJECT) && !has("delete-refs") {
        return Err(Failure::error("the upstream does not let refs be deleted"));
    }
    let mut words = "report-status side-band-64k agent=git/claude-bottle".to_owned();
    for (word, wanted) in [("atomic", updates.len() > 1), ("object-format=sha1", true), ("quiet", true)] {
        if wanted && has(word) {
            words = format!("{words} {word}");
        }
    }
    let mut commands = Vec::new();
    for GitUpdate { name, old, new } in updates {
        push_packet(&mut commands, format!("{old} {new} {name}\0{}", std::mem::take(&mut words)).as_bytes());
    }
    commands.extend_from_slice(b"0000");
    let exchanged = timeout(TRANSFER_TIMEOUT, async {
        let (mut from_upstream, mut to_upstream) = link.stream.split();
        let send = async {
            to_upstream.write_all(&commands).await.map_err(lost)?;
            match updates.iter().any(|update| update.new != NO_OBJECT) {
                true => send_pack(pending, known, &mut to_upstream).await,
                false => to_upstream.shutdown().await.map_err(lost),
            }
        };
        let read = read_answer(&mut from_upstream);
        tokio::join!(send, read)
    })
    .await;
    let Ok((sent, answer)) = exchanged else { return Err(Failure::error("the upstream did not answer in time")) };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Err(unknown(sent, link, &error).await),
    };
    judge(&answer, updates)?;
    Ok(answer.remark_lines())
}

impl Answer {
    /// The upstream's words as the agent may see them, but for secrets. A line that was cut is left out: it could end in the
    /// beginning of one.
    fn remark_lines(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.remarks);
        let whole = match self.has_more_remarks {
            true => text.rfind(['\n', '\r']).map_or("", |end| &text[..end]),
            false => &text[..],
        };
        whole.split(['\n', '\r']).filter(|line| !line.trim().is_empty()).map(visible).collect()
    }
}

fn lost(error: io::Error) -> Failure {
    Failure::error(format!("the connection to the upstream broke: {error}"))
}

/// Where the connection broke before the upstream had reported.
async fn unknown(sent: Result<(), Failure>, link: Link, error: &io::Error) -> Failure {
    if let Err(failure) = sent {
        return link.failure(&failure.text).await;
    }
    let failure = link.failure(&format!("the connection broke: {error}")).await;
    Failure::error(format!("{}; whether the push arrived is not known: fetch to see", failure.text))
}

/// Sends exactly the objects that were scanned: what the new ids lead to, without what the refs lead to.
async fn send_pack(
    pending: &Pending<'_>,
    known: &BTreeMap<String, String>,
    to: impl AsyncWrite + Unpin,
) -> Result<(), Failure> {
    let job = pending.git().args(["pack-objects", "--stdout", "--revs", "--thin", "--delta-base-offset", "-q"]);
    let mut child = pending.tools.runner.spawn(job.piped())?;
    let (Some(mut stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::error("git has no pipes"));
    };
    let ids = pending.new_ids().into_iter().chain(["--not"]).chain(known.values().map(String::as_str));
    let input: String = ids.map(|id| format!("{id}\n")).collect();
    stdin.write_all(input.as_bytes()).await.map_err(lost)?;
    drop(stdin);
    let mut bytes = 0;
    copy(&mut stdout, to, &mut bytes, 2 * MAX_PACK_BYTES).await.map_err(lost)?;
    child.wait().await?.checked().map(drop)
}

/// Reads the report, and the words beside it, up to the end.
async fn read_answer(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let mut answer = Answer::default();
    loop {
        let data = match read_packet(from).await? {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush) => return Ok(answer),
            Some(_) => continue,
            None if answer.report.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => return Ok(answer),
        };
        match data.split_first() {
            Some((1, data)) => answer.report.extend_from_slice(data),
            Some((2, data)) => {
                let room = MAX_REMARK_BYTES.saturating_sub(answer.remarks.len());
                answer.has_more_remarks |= data.len() > room;
                answer.remarks.extend_from_slice(&data[..data.len().min(room)]);
            }
            Some((3, data)) => return Err(io::Error::other(visible(&String::from_utf8_lossy(data)))),
            _ => {}
        }
        if answer.report.len() > MAX_REPORT_BYTES {
            return Err(io::Error::other("its report is too long"));
        }
    }
}

/// Whether the upstream took all of it. The error has its words.
fn judge(answer: &Answer, updates: &[GitUpdate]) -> Result<(), Failure> {
    let mut rest = &answer.report[..];
    let mut lines = Vec::new();
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let Some(wire::PacketHead::Data(length)) = wire::parse_packet_head(*head) else { break };
        let Some((line, after)) = after.split_at_checked(length) else { break };
        lines.push(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
        rest = after;
    }
    let refused = |why: &str| Failure {
        details: answer.remark_lines(),
        ..Failure::error(format!("the upstream refused the push: {why}"))
    };
    match lines.first().and_then(|line| line.strip_prefix("unpack ")) {
        Some("ok") => {}
        Some(why) => return Err(refused(why)),
        None => return Err(refused("it did not say what became of it: fetch to see")),
    }
    for GitUpdate { name, .. } in updates {
        let is_good = lines.iter().any(|line| line.strip_prefix("ok ") == Some(name));
        if !is_good {
            let no = lines.iter().find_map(|line| line.strip_prefix("ng ")?.strip_prefix(name.as_str()));
            return Err(refused(no.map_or("it did not say why", str::trim)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &[&str]) -> Answer {
        let mut report = Vec::new();
        for line in lines {
            push_packet(&mut report, line.as_bytes());
        }
        Answer { report, remarks: b"see\x1b[2J https://a.org\n".to_vec(), has_more_remarks: false }
    }

    #[test]
    fn only_what_the_upstream_confirms_was_pushed() {
        let update = |name: &str| GitUpdate { name: name.to_owned(), ..GitUpdate::default() };
        let both = [update("refs/heads/a"), update("refs/heads/b")];
        assert!(judge(&answer(&["unpack ok\n", "ok refs/heads/a\n", "ok refs/heads/b\n"]), &both).is_ok());
        for (lines, words) in [
            (&["unpack ok\n", "ok refs/heads/a\n", "ng refs/heads/b hook declined\n"][..], "hook declined"),
            (&["unpack ok\n", "ok refs/heads/a\n"], "did not say why"),
            (&["unpack no space\n", "ok refs/heads/a\n", "ok refs/heads/b\n"], "no space"),
            (&["unpack ok\n", "ok refs/heads/a\n", "ok refs/heads/bb\n"], "did not say why"),
            (&[], "fetch to see"),
        ] {
            let failure = judge(&answer(lines), &both).unwrap_err();
            assert!(failure.text.contains(words), "{}", failure.text);
            assert_eq!(failure.details, ["see\\u{1b}[2J https://a.org"]);
        }
    }

    #[test]
    fn a_line_that_was_cut_is_not_told() {
        let said = |remarks: &[u8], has_more_remarks| {
            Answer { remarks: remarks.to_vec(), has_more_remarks, ..Answer::default() }.remark_lines()
        };
        assert_eq!(said(b"one\r\n\ntwo\rthree", false), ["one", "two", "three"]);
        assert_eq!(said(b"one\ntwo\nthe-sec", true), ["one", "two"]);
        assert_eq!(said(b"the-sec", true), [""; 0]);
    }
}
