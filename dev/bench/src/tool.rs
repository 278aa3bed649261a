//! The program under measurement with a home of its own, and what both halves say of times.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Everything that it makes carries its home's label, and is removed on drop.
pub struct Tool {
    pub program: PathBuf,
    pub home: PathBuf,
    agent: &'static str,
}

impl Tool {
    /// `program`: default `target/release/claude-bottle`. `agent`: the one that `manifest` has.
    pub fn new(program: Option<String>, agent: &'static str, manifest: &str) -> Result<Tool> {
        let program = PathBuf::from(program.unwrap_or_else(|| "target/release/claude-bottle".to_owned()));
        let home = std::env::temp_dir().join(format!("claude-bottle-{agent}-{}", std::process::id()));
        let tool = Tool { program: program.canonicalize()?, home, agent };
        fs::create_dir_all(&tool.home)?;
        fs::write(tool.home.join("claude-bottle.json"), manifest)?;
        Ok(tool)
    }

    pub fn run(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).env("CLAUDE_BOTTLE_HOME", &self.home).current_dir(&self.home);
        command
    }

    /// The plan of its agent, as JSON.
    pub fn plan(&self) -> Result<Vec<u8>> {
        Ok(self.run(&["start", "--dry-run", "--format", "json", self.agent]).output()?.stdout)
    }

    /// Writes so many kept sessions as they lie on disk.
    pub fn keep(&self, count: u32) -> Result<()> {
        let plan = self.plan()?;
        for number in 0..count {
            let folder = self.home.join(format!("state/{}-{number:05}", self.agent));
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("plan.json"), &plan)?;
            fs::write(folder.join("mark"), r#"{"mark":"kept","why":"the agent ended with 1"}"#)?;
        }
        Ok(())
    }

    /// Removes the kept sessions from the disk.
    pub fn forget(&self) -> Result<()> {
        Ok(fs::remove_dir_all(self.home.join("state"))?)
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.run(&["cleanup", "--yes"]).output();
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// In milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
