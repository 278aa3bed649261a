//! The script: what the model says at its n-th turn of a conversation.
//!
//! The turn is the number of assistant messages that the request already holds, so a conversation that goes on in
//! another process (`--continue`) goes on in the script, and a request sent twice gets the same answer twice.

use serde::Deserialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use tokio::sync::watch;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    pub text: String,
    pub tool: Option<Tool>,
    /// The answer stops in the middle until `POST /_release/NAME`.
    pub hold: Option<String>,
    /// This status instead, for the first `times` requests of the turn.
    pub status: Option<u16>,
    pub times: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub name: String,
    pub input: Value,
}

pub struct Script {
    state: Mutex<State>,
    released: watch::Sender<HashSet<String>>,
}

#[derive(Default)]
struct State {
    turns: Vec<Turn>,
    refused: HashMap<usize, usize>,
}

impl Script {
    pub fn parse(text: &[u8]) -> serde_json::Result<Script> {
        let script = Script { state: Mutex::default(), released: watch::Sender::default() };
        script.replace(text)?;
        Ok(script)
    }

    pub fn replace(&self, text: &[u8]) -> serde_json::Result<()> {
        let turns = serde_json::from_slice(text)?;
        *self.state.lock().unwrap() = State { turns, refused: HashMap::new() };
        self.released.send_modify(HashSet::clear);
        Ok(())
    }

    /// What is said after `said` turns; beyond the script's end, a word that ends the session's turn. `status` is left
    /// only where this very request is refused.
    pub fn turn(&self, said: usize) -> Turn {
        let mut state = self.state.lock().unwrap();
        let Some(mut turn) = state.turns.get(said).cloned() else {
            return Turn { text: "The script is over.".into(), ..Turn::default() };
        };
        if turn.status.is_some() {
            let refused = state.refused.entry(said).or_default();
            *refused += 1;
            if *refused > turn.times.unwrap_or(usize::MAX) {
                turn.status = None;
            }
        }
        turn
    }

    pub fn release(&self, hold: &str) {
        self.released.send_modify(|released| {
            released.insert(hold.to_owned());
        });
    }

    pub async fn wait(&self, hold: &str) {
        let _ = self.released.subscribe().wait_for(|released| released.contains(hold)).await;
    }
}
