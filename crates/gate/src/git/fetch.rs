//! Clone, fetch and `ls-remote`: a refresh, and then git's own program on what the upstream has now.

use crate::egress::Egress;
use crate::git::confined::Confinement;
use crate::git::failure::Failure;
use crate::git::limits::{AGENT_IDLE_TIMEOUT, MAX_FETCH_BYTES};
use crate::git::link::{copy, unless_hung_up};
use crate::git::record::GitRecord;
use crate::git::remote::Remote;
use crate::git::tools::Tools;
use std::sync::Arc;
use tokio::net::UnixStream;

/// What a fetch is for.
pub struct Fetch<'a> {
    pub egress: &'a Arc<Egress>,
    pub remote: &'a Remote,
    /// The version of git's protocol.
    pub version: u8,
}

/// Serves a fetch until it ends. An error is one of before git had said anything.
pub async fn serve(
    tools: &Tools,
    fetch: Fetch<'_>,
    stream: &mut UnixStream,
    record: &mut GitRecord,
) -> Result<(), Failure> {
    let Fetch { egress, remote, version } = fetch;
    drop(unless_hung_up(stream, remote.refreshed(egress, &tools.runner)).await?);
    let patience = format!("--timeout={}", AGENT_IDLE_TIMEOUT.as_secs());
    let mut job = remote.git(Confinement::Plain).args(["upload-pack", "--strict", &patience, "."]).piped();
    if version > 0 {
        job = job.env("GIT_PROTOCOL", format!("version={version}"));
    }
    let mut child = tools.runner.spawn(job)?;
    let (Some(stdin), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Failure::error("git has no pipes"));
    };
    let (mut from_agent, mut to_agent) = stream.split();
    let carried = {
        let audit = &mut record.audit;
        let up = copy(&mut from_agent, stdin, &mut audit.sent, MAX_FETCH_BYTES);
        let down = copy(&mut stdout, &mut to_agent, &mut audit.received, MAX_FETCH_BYTES);
        tokio::pin!(up, down);
        // git ends by itself when the agent has hung up, and the agent when git has ended.
        tokio::select! {
            carried = &mut down => carried,
            Err(error) = &mut up => Err(error),
        }
    };
    let ended = child.wait().await?;
    match carried {
        Ok(()) if ended.is_good() => record.allowed(),
        // git has told the agent already.
        Ok(()) => drop(record.failed(Failure::error(ended.reason()))),
        Err(error) => drop(record.failed(Failure::error(format!("the agent broke off: {error}")))),
    }
    Ok(())
}
