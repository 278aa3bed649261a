//! The engine's own client, for programs that look at containers.

use crate::tool::Result;
use std::process::Command;

/// The engine's own client; its stdout.
pub fn docker(args: &[&str]) -> Result<String> {
    let output = Command::new("docker").args(args).output()?;
    if !output.status.success() {
        return Err(format!("docker {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
