//! The answer to `GO`: what the agent's init is told, with exactly the values that it names.

use hyper::body::Bytes;
use std::collections::BTreeSet;
use wire::{Go, GoMessage, Source, Values};

/// A go message that is ready to be sent, and the values that it gives to the agent.
pub struct PreparedGo {
    pub message: Bytes,
    pub values: Values,
}

impl PreparedGo {
    /// Moves the values that `go` names out of `values`. The error names a value that is missing, or one of `gate_only`,
    /// which the agent must not get.
    pub fn new(go: Go, gate_only: &BTreeSet<&str>, values: &mut Values) -> Result<PreparedGo, String> {
        let sources = go.env.values().chain(go.files.iter().map(|file| &file.source));
        let names: BTreeSet<String> = sources.filter_map(Source::value).map(str::to_owned).collect();
        let mut named = Values::new();
        for name in names {
            if gate_only.contains(name.as_str()) {
                return Err(format!("`{name}` is the gate's alone: the agent must not get it"));
            }
            let value = values.remove(&name).ok_or_else(|| format!("the document has no value `{name}`"))?;
            named.insert(name, value);
        }
        let message = GoMessage { go, values: named };
        match serde_json::to_vec(&message) {
            Ok(text) => Ok(PreparedGo { message: text.into(), values: message.values }),
            Err(_) => Err("the go message cannot be written".to_owned()),
        }
    }
}
