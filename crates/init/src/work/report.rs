//! Reports the agent's work to the gate after the agent's program has ended.

use super::paths::WorkPaths;
use crate::failure::Failure;
use crate::subprocess::run_init;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;
use wire::Work;

/// How long PID 1 waits for the comparison; the user waits for the shell's prompt meanwhile.
const COMPARE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long PID 1 waits for the gate to take the report.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);

/// Compares the workspace with the baseline and tells the gate, which tells the host. A comparison that fails or takes too
/// long is reported as incomplete.
pub async fn report_to_gate(socket: &Path, home: &Path) {
    let paths = WorkPaths::new(home);
    let work = if paths.is_workspace_empty() && paths.baseline().exists() {
        Work { complete: true, ..Work::default() }
    } else {
        let answer = run_init(home, &["work", "report"], COMPARE_TIMEOUT).await;
        answer.and_then(|line| serde_json::from_slice(&line).ok()).unwrap_or_default()
    };
    let _ = timeout(DELIVERY_TIMEOUT, deliver(socket, &work)).await;
}

async fn deliver(socket: &Path, work: &Work) -> Result<(), Failure> {
    let mut gate = UnixStream::connect(socket).await?;
    let mut line = format!("WORK {}\n", serde_json::to_string(work)?);
    if line.len() > wire::MAX_WORK_BYTES {
        line = format!("WORK {}\n", serde_json::to_string(&Work::default())?);
    }
    gate.write_all(line.as_bytes()).await?;
    // The gate answers with one byte once the line is in its queue of events.
    gate.read_u8().await?;
    Ok(())
}
