//! An age as it is typed: `90m`, `12h`, `30d`.

use crate::exit::UserError;
use std::time::Duration;

/// An age as in `90m`, `12h`, `30d`.
pub fn parse_age(age: &str) -> Result<Duration, UserError> {
    let wrong =
        || UserError::new(format!("`{age}` is no age")).hint("a number and one of `s`, `m`, `h`, `d`, as in `30d`");
    let unit = match age.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86400,
        _ => return Err(wrong()),
    };
    let number: u64 = age[..age.len() - 1].parse().map_err(|_| wrong())?;
    // Capped, because a time before the clock's first second does not exist.
    Ok(Duration::from_secs(number.saturating_mul(unit).min(u64::from(u32::MAX) / 4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (age, wanted) in [("0s", 0), ("90m", 5400), ("12h", 43200), ("30d", 2_592_000)] {
            assert_eq!(parse_age(age).unwrap().as_secs(), wanted, "{age}");
        }
        assert!(parse_age("99999999999999d").unwrap() < Duration::from_secs(1 << 31));
        for wrong in ["", "d", "30", "30 d", "-1d", "1w", "1é"] {
            assert!(parse_age(wrong).is_err(), "{wrong}");
        }
    }
}
