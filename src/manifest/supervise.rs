//! `supervise` of a bottle: whether its agent may propose changes, and how long a refused request waits for an answer.

use super::block::Block;
use super::json::{Member, Value, excerpt};
use super::keys;
use crate::exit::UserError;
use wire::Supervise;

/// Clients give up after minutes, and each request that waits holds a connection.
const MAX_HOLD_SECONDS: u32 = 600;

/// What the bottle says: `Some(None)` is an explicit no, against a bottle that it extends.
pub type SuperviseDraft = Option<Option<Supervise>>;

/// Reads `supervise` of a bottle.
///
/// # Errors
/// `UserError` for another value than true, false or an object, and for a time that is none.
pub fn read(bottle: &Block) -> Result<SuperviseDraft, UserError> {
    let Some(member) = bottle.get("supervise") else { return Ok(None) };
    match member.node.value {
        Value::Bool(on) => Ok(Some(on.then(Supervise::default))),
        Value::Object(_) => {
            let block = Block::open(bottle.file, &member.node, &keys::SUPERVISE)?;
            let hold = block.get("hold").map(|member| hold(&block, member)).transpose()?;
            Ok(Some(Some(Supervise { hold: hold.unwrap_or_default() })))
        }
        _ => Err(bottle.error(member, format_args!("wanted true, false or an object, found {}", member.node.kind()))),
    }
}

/// Seconds, as `60s` or `2m`.
fn hold(block: &Block, member: &Member) -> Result<u32, UserError> {
    let text = match &member.node.value {
        Value::String(text) => text,
        _ => return Err(block.error(member, format_args!("wanted a time as in `60s`, found {}", member.node.kind()))),
    };
    let split = text.find(|c: char| !c.is_ascii_digit()).map(|end| text.split_at(end));
    let seconds = split.and_then(|(number, unit)| {
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            _ => return None,
        };
        number.parse::<u32>().ok()?.checked_mul(factor)
    });
    match seconds {
        Some(seconds) if seconds <= MAX_HOLD_SECONDS => Ok(seconds),
        Some(_) => Err(block.error(member, format_args!("`{text}` is more than {MAX_HOLD_SECONDS}s"))),
        None => {
            let what = format!("wanted seconds or minutes, as in `60s` or `2m`, found `{}`", excerpt(text));
            Err(block.error(member, what))
        }
    }
}
