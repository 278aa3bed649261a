//! Every request that came, for the test to look at: kept in memory, and a JSON line each on stdout.

use crate::Asked;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

#[derive(Default)]
pub struct Recorder {
    lines: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
}

impl Recorder {
    pub fn add(&self, asked: &Asked) {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let headers: Map<String, Value> =
            asked.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let body = match serde_json::from_slice::<Value>(&asked.body) {
            Ok(body) => body,
            Err(_) => json!(String::from_utf8_lossy(&asked.body)),
        };
        let line = json!({
            "time": millis, "method": asked.method.as_str(), "path": asked.path, "query": asked.query,
            "headers": headers, "body": body,
        });
        say(&line);
        let mut lines = self.lines.lock().unwrap();
        lines.push(line.to_string());
        self.count.send_replace(lines.len());
    }

    /// All lines, once there are at least `least`.
    pub async fn lines(&self, least: usize) -> String {
        let _ = self.count.subscribe().wait_for(|count| *count >= least).await;
        self.lines.lock().unwrap().iter().map(|line| format!("{line}\n")).collect()
    }

    pub fn forget(&self) {
        self.lines.lock().unwrap().clear();
        self.count.send_replace(0);
    }
}

/// A test that has gone away is no reason to panic.
pub fn say(line: &Value) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
