//! What the operator decided about a session: the routes that were added to it, beside its plan, and the record of every
//! decision, which outlives the session.

use super::{Folder, make_folder, write};
use crate::exit::UserError;
use crate::plan::SessionRoutes;
use anyhow::{Context as _, Result};
use policy::Route;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use sys::lock::{self, Lock};
use wire::Change;

/// How long a decision waits for another process that decides about the same session.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two attempts to take the lock.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// One line of `audit/IDENTITY.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// UTC, RFC 3339.
    pub time: String,
    pub identity: String,
    pub stage: DecisionStage,
    pub by: Operator,
    /// `approve`, `reject`, or what was done with the routes: `add`, `remove`, `edit`.
    pub action: String,
    /// `once`, `session` or `save`, of an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// What was decided about; nothing, where the operator began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// Routes that the session has after it and had not before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Route>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Route>,
    /// The operator's words, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a decision went. One without an end was cut off: its routes are on disk, or not, and doing it again ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionStage {
    /// Nothing was done so far.
    Begun,
    /// The gate has it, or the next gate will.
    Applied,
    /// The gate refused it, and everything is as before.
    Failed,
}

/// The person who decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    pub uid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<String>,
    /// The other end of an ssh connection, as `SSH_CONNECTION` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

impl Folder {
    fn egress(&self) -> PathBuf {
        self.path.join("egress")
    }

    pub(super) fn session_routes_path(&self) -> PathBuf {
        self.egress().join("routes.json")
    }

    /// The routes that were added to this session.
    ///
    /// # Errors
    /// `UserError` where the file cannot be read, or is of a later version.
    pub fn session_routes(&self) -> Result<SessionRoutes> {
        let path = self.session_routes_path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(SessionRoutes::default()),
            Err(error) => return Err(UserError::unreadable(&path, &error).into()),
        };
        let routes: SessionRoutes = serde_json::from_slice(&bytes)
            .map_err(|error| UserError::new(format!("`{}` is not a list of routes: {error}", path.display())))?;
        if !routes.is_known() {
            let what =
                format!("`{}` is of version {}, which this program does not know", path.display(), routes.version);
            return Err(UserError::new(what).hint("use the claude-bottle that wrote it, or a newer one").into());
        }
        Ok(routes)
    }

    /// Replaces the routes of this session. A session without any has no file.
    pub fn set_session_routes(&self, routes: &SessionRoutes) -> Result<()> {
        let path = self.session_routes_path();
        if routes.routes.is_empty() && !path.exists() {
            return Ok(());
        }
        make_folder(&self.egress())?;
        write(&path, &serde_json::to_vec_pretty(routes)?)
    }

    /// Takes the right to decide about this session, for as long as the lock lives.
    ///
    /// # Errors
    /// `UserError` where another process does not give it up.
    pub fn lock_decisions(&self) -> Result<Lock> {
        make_folder(&self.egress())?;
        let (path, began) = (self.egress().join("lock"), Instant::now());
        loop {
            if let Some(lock) = lock::try_lock(&path).with_context(|| format!("cannot lock `{}`", path.display()))? {
                return Ok(lock);
            }
            if began.elapsed() > LOCK_TIMEOUT {
                let what =
                    format!("another process is deciding about `{}`, and does not come to an end", self.identity);
                return Err(UserError::new(what).hint("end it, or wait for it").into());
            }
            std::thread::sleep(LOCK_POLL_INTERVAL);
        }
    }

    /// The record of decisions about this session. It stays where the session's folder goes.
    pub fn decisions(&self) -> PathBuf {
        self.home.path().join("audit").join(format!("{}.jsonl", self.identity))
    }

    /// Appends to the record, and waits for the disk.
    pub fn record_decision(&self, record: &DecisionRecord) -> Result<()> {
        let path = self.decisions();
        let append = || -> Result<()> {
            make_folder(&self.home.path().join("audit"))?;
            let mut file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
            let mut line = serde_json::to_vec(record)?;
            line.push(b'\n');
            file.write_all(&line)?;
            file.sync_data()?;
            Ok(())
        };
        append().with_context(|| format!("cannot write `{}`", path.display()))
    }
}
