//! What a `token_cmd` prints: the token and nothing else, or a JSON object that says until when it is good.
//!
//! Pure: the time comes in. No error quotes what was printed.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest output of a `token_cmd`, in bytes: a message that carries it must fit into a pipe's buffer.
pub const MAX_TOKEN_BYTES: usize = 32 << 10;

/// A century: nothing ends later, it never ends.
const NEVER: f64 = 100.0 * 366.0 * 86400.0;

/// No `Debug`: it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub value: Vec<u8>,
    /// How long it is good from now on; `None`: for ever.
    pub life: Option<Duration>,
}

#[derive(Deserialize)]
struct Printed {
    token: String,
    #[serde(default)]
    expires_at: Option<Moment>,
    /// Seconds from now on.
    #[serde(default)]
    expires_in: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Moment {
    Unix(f64),
    Written(String),
}

#[derive(Serialize)]
struct Carried<'a> {
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<f64>,
}

impl Token {
    /// `now`: since the beginning of 1970, UTC. The earlier of two ends counts; one that is past leaves no life.
    ///
    /// # Errors
    /// One line, for the operator: nothing, too much, or an object that is no token.
    pub fn read(printed: &[u8], now: Duration) -> Result<Token, &'static str> {
        let printed = printed.trim_ascii_end();
        if printed.is_empty() {
            return Err("it printed nothing");
        }
        if printed.len() > MAX_TOKEN_BYTES {
            return Err("it printed more than a token");
        }
        // What only begins like JSON is a token that begins so.
        let is_object = printed.starts_with(b"{") && serde_json::from_slice::<serde_json::Map<_, _>>(printed).is_ok();
        if !is_object {
            return Ok(Token { value: printed.to_vec(), life: None });
        }
        let Printed { token, expires_at, expires_in } = serde_json::from_slice(printed).map_err(|_| {
            "the JSON that it printed is not `token` with `expires_at` (RFC 3339 or seconds since 1970) or `expires_in` \
             (seconds)"
        })?;
        if token.is_empty() {
            return Err("the `token` that it printed is empty");
        }
        let at = match expires_at {
            None => None,
            Some(Moment::Unix(seconds)) => Some(seconds),
            Some(Moment::Written(text)) => Some(rfc3339(&text).ok_or("`expires_at` is not a time of RFC 3339")?),
        };
        let left = [at.map(|at| at - now.as_secs_f64()), expires_in].into_iter().flatten().reduce(f64::min);
        let life = match left {
            None => None,
            Some(left) if !left.is_finite() => return Err("its end is not a number"),
            Some(left) if left >= NEVER => None,
            Some(left) => Some(Duration::from_secs_f64(left.max(0.0))),
        };
        Ok(Token { value: token.into_bytes(), life })
    }

    /// Has it no life left?
    pub fn has_ended(&self) -> bool {
        self.life.is_some_and(|life| life.is_zero())
    }

    /// As [`Token::read`] reads it again, elsewhere: with the time that is left, since clocks differ.
    pub fn carry(&self) -> Vec<u8> {
        let text = std::str::from_utf8(&self.value).ok();
        match text.filter(|text| self.life.is_some() || text.starts_with('{')) {
            Some(token) => {
                let carried = Carried { token, expires_in: self.life.map(|life| life.as_secs_f64()) };
                serde_json::to_vec(&carried).unwrap_or_default()
            }
            None => self.value.clone(),
        }
    }
}

/// Seconds since 1970 of `2026-11-25T13:00:00.5+01:00` and the like; a leap second is the one before.
pub fn rfc3339(text: &str) -> Option<f64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let mark = |at: usize, marks: &str| text.as_bytes().get(at).is_some_and(|byte| marks.contains(char::from(*byte)));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let fits = mark(4, "-") && mark(7, "-") && mark(10, "Tt ") && mark(13, ":") && mark(16, ":");
    let days_of = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !fits || !(1..=days_of).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
            (format!("0.{}", &rest[..end]).parse::<f64>().ok()?, &rest[end..])
        }
        None => (0.0, rest),
    };
    let ahead = match zone.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => {
            let two = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            let (hours, minutes) = (two(a, b), two(c, d));
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'+' { 60 } else { -60 }
        }
        _ => return None,
    };
    // Days since 1970 of the Gregorian calendar, counted from 1 March of the year 0.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day
            - 1
            - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second.min(59) - ahead;
    // Below the year 10000 a double keeps microseconds.
    #[allow(clippy::cast_precision_loss)]
    Some(seconds as f64 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000_000);

    fn read(printed: &str) -> Result<(String, Option<f64>), &'static str> {
        let token = Token::read(printed.as_bytes(), NOW)?;
        Ok((String::from_utf8(token.value).unwrap(), token.life.map(|life| life.as_secs_f64())))
    }

    #[test]
    fn plain_or_with_an_end() {
        let plain = |text: &str| Ok((text.to_owned(), None));
        assert_eq!(read("abc\n"), plain("abc"));
        assert_eq!(read("{abc}\n"), plain("{abc}"));
        assert_eq!(read(r#""abc""#), plain(r#""abc""#));
        assert_eq!(read(r#"{"token":"abc"}"#), plain("abc"));
        assert_eq!(read(r#"{"token":"abc","expires_in":null,"kind":"x"}"#), plain("abc"));
        assert_eq!(read(r#"{"token":"abc","expires_in":1e300}"#), plain("abc"));
        let until = |end: &str| read(&format!(r#"{{"token":"abc",{end}}}"#)).unwrap().1.unwrap();
        assert!((until(r#""expires_in":0.5"#) - 0.5).abs() < 1e-9);
        assert!((until(r#""expires_in":3600,"expires_at":1000000060"#) - 60.0).abs() < 1e-6);
        assert!((until(r#""expires_at":"2001-09-09T01:46:41Z""#) - 1.0).abs() < 1e-6);
        assert!((until(r#""expires_at":"2001-09-09T03:46:40.25+02:00""#) - 0.25).abs() < 1e-6);
        assert!((until(r#""expires_in":-5"#)).abs() < 1e-9);
        assert!((until(r#""expires_at":1"#)).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_quoted() {
        for bad in [
            "",
            "\n",
            r#"{"token":""}"#,
            r#"{"tokens":"sesame"}"#,
            r#"{"token":5,"sesame":1}"#,
            r#"{"token":"sesame","expires_at":"tomorrow"}"#,
            r#"{"token":"sesame","expires_at":{}}"#,
            r#"{"token":"sesame","expires_in":"60"}"#,
            r#"{"token":"sesame","token":"sesame2"}"#,
            &"sesame".repeat(10_000),
        ] {
            let why = read(bad).expect_err(bad);
            assert!(!why.contains("sesame") && !why.contains("tomorrow"), "{why}");
        }
    }

    #[test]
    fn times_are_read_strictly() {
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(rfc3339("2000-02-29T12:00:00-01:30"), Some(951_831_000.0));
        assert_eq!(rfc3339("2016-12-31T23:59:60Z"), Some(1_483_228_799.0));
        for bad in [
            "",
            "2026-11-25",
            "2026-11-25T10:00:00",
            "2026-13-25T10:00:00Z",
            "2026-02-29T10:00:00Z",
            "2026-11-25T24:00:00Z",
            "2026-11-25T10:00:00.Z",
            "2026-11-25T10:00:00.5",
            "2026-11-25T10:00:00+0100",
            "2026-11-25T10:00:00+24:00",
            "+026-11-25T10:00:00Z",
            "2026-11-25T10:00:00Zé",
            "2026-11-2é10:00:00Z",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_carried_is_read_as_it_was() {
        for printed in ["abc", "{abc", r#"{"token":"{\"token\":\"x\"}"}"#, r#"{"token":"a","expires_in":5.5}"#] {
            let token = Token::read(printed.as_bytes(), NOW).unwrap_or_else(|why| panic!("{why}"));
            let again = Token::read(&token.carry(), NOW * 2).unwrap_or_else(|why| panic!("{why}"));
            assert!(token == again, "{printed}");
        }
        let token = Token { value: vec![b'{', 0xff], life: None };
        assert!(Token::read(&token.carry(), NOW).ok() == Some(token));
    }
}
