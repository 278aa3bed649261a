//! `limits` of a bottle as written: memory, processors, processes.

use super::Limits;
use super::block::Block;
use super::json::{Member, Value};
use crate::exit::UserError;

const MIN_MEMORY_BYTES: u64 = 64 << 20;
const MAX_MEMORY_BYTES: u64 = 1 << 50;

const DEFAULT_MEMORY_BYTES: u64 = 4 << 30;
const DEFAULT_CPUS: f64 = 2.0;
const DEFAULT_PIDS: u32 = 2048;

/// The limits that a bottle states itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct LimitsDraft {
    /// Bytes.
    memory: Option<u64>,
    cpus: Option<f64>,
    pids: Option<u32>,
}

impl LimitsDraft {
    /// These limits, and the parent's where one is not stated.
    pub fn or(self, parent: LimitsDraft) -> LimitsDraft {
        LimitsDraft {
            memory: self.memory.or(parent.memory),
            cpus: self.cpus.or(parent.cpus),
            pids: self.pids.or(parent.pids),
        }
    }

    /// These limits, and the default where one is not stated.
    pub fn complete(self) -> Limits {
        Limits {
            memory: self.memory.unwrap_or(DEFAULT_MEMORY_BYTES),
            cpus: self.cpus.unwrap_or(DEFAULT_CPUS),
            pids: self.pids.unwrap_or(DEFAULT_PIDS),
        }
    }
}

/// Reads `limits` of a bottle.
///
/// # Errors
/// `UserError` for a value out of its range.
pub fn read(block: &Block) -> Result<LimitsDraft, UserError> {
    let memory = block.get("memory").map(|member| memory(block, member)).transpose()?;
    let cpus = match block.get("cpus") {
        Some(member) => Some(cpus(block, member)?),
        None => None,
    };
    let pids = match block.get("pids") {
        Some(member) => u32::try_from(block.integer(member, 16..=4_194_304)?).ok(),
        None => None,
    };
    Ok(LimitsDraft { memory, cpus, pids })
}

/// Bytes, from a number or from a size as in `512m` or `4g`.
fn memory(block: &Block, member: &Member) -> Result<u64, UserError> {
    let bytes = match &member.node.value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => {
            let lower = text.to_ascii_lowercase();
            let shift = match lower.bytes().last() {
                Some(b'k') => 10,
                Some(b'm') => 20,
                Some(b'g') => 30,
                Some(b't') => 40,
                _ => 0,
            };
            let digits = lower.strip_suffix(['b', 'k', 'm', 'g', 't']).unwrap_or(&lower);
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().ok()?.checked_mul(1 << shift)).flatten()
        }
        _ => None,
    };
    match bytes {
        None => Err(block.error(member, "wanted bytes, or a size as in `512m` or `4g`")),
        Some(bytes) if bytes < MIN_MEMORY_BYTES => Err(block.error(member, "less than 64m: no agent runs in that")),
        Some(bytes) if bytes > MAX_MEMORY_BYTES => Err(block.error(member, "more than any machine has")),
        Some(bytes) => Ok(bytes),
    }
}

fn cpus(block: &Block, member: &Member) -> Result<f64, UserError> {
    match &member.node.value {
        Value::Number(number) => match number.as_f64() {
            Some(n) if (0.01..=1024.0).contains(&n) => Ok(n),
            _ => Err(block.error(member, format_args!("wanted a number of 0.01 to 1024, found {number}"))),
        },
        _ => Err(block.error(member, format_args!("wanted a number, found {}", member.node.kind()))),
    }
}
