//! The output of a `token_cmd`: only the token, or a JSON object with the token and its expiry.
//!
//! Invariant: no error quotes the output. Pure: the caller passes the time.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longest output of a `token_cmd`, in bytes: a message that carries it must fit into a pipe's buffer.
pub const MAX_TOKEN_BYTES: usize = 32 << 10;

/// Seconds of a century. A token that lives longer never expires.
const NEVER_EXPIRES_SECONDS: f64 = 100.0 * 366.0 * 86400.0;

/// A token. It has no `Debug`, because it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub value: Vec<u8>,
    /// How long it is still valid; `None`: for ever.
    pub life: Option<Duration>,
}

/// The JSON object that a `token_cmd` may print. Other fields are ignored.
#[derive(Deserialize)]
struct PrintedToken {
    token: String,
    #[serde(default)]
    expires_at: Option<Expiry>,
    /// Seconds from now.
    #[serde(default)]
    expires_in: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expiry {
    /// Seconds since 1970.
    Unix(f64),
    /// RFC 3339.
    Text(String),
}

/// What [`Token::encode`] writes: an object that [`Token::read`] accepts.
#[derive(Serialize)]
struct EncodedToken<'a> {
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in: Option<f64>,
}

impl Token {
    /// Reads the output of a `token_cmd`. `now`: time since the beginning of 1970, UTC. Of two expiries the earlier counts; one
    /// in the past leaves a life of zero.
    ///
    /// # Errors
    /// One line for the user: the output is empty, longer than [`MAX_TOKEN_BYTES`], or an object that is no token.
    pub fn read(printed: &[u8], now: Duration) -> Result<Token, &'static str> {
        let printed = printed.trim_ascii_end();
        if printed.is_empty() {
            return Err("it printed nothing");
        }
        if printed.len() > MAX_TOKEN_BYTES {
            return Err("it printed more than a token");
        }
        // A token may start with `{` without being JSON.
        let is_object = printed.starts_with(b"{") && serde_json::from_slice::<serde_json::Map<_, _>>(printed).is_ok();
        if !is_object {
            return Ok(Token { value: printed.to_vec(), life: None });
        }
        let PrintedToken { token, expires_at, expires_in } = serde_json::from_slice(printed).map_err(|_| {
            "the JSON that it printed is not `token` with `expires_at` (RFC 3339 or seconds since 1970) or `expires_in` \
             (seconds)"
        })?;
        if token.is_empty() {
            return Err("the `token` that it printed is empty");
        }
        let at = match expires_at {
            None => None,
            Some(Expiry::Unix(seconds)) => Some(seconds),
            Some(Expiry::Text(text)) => Some(rfc3339(&text).ok_or("`expires_at` is not a time of RFC 3339")?),
        };
        let left = [at.map(|at| at - now.as_secs_f64()), expires_in].into_iter().flatten().reduce(f64::min);
        let life = match left {
            None => None,
            Some(left) if !left.is_finite() => return Err("its end is not a number"),
            Some(left) if left >= NEVER_EXPIRES_SECONDS => None,
            Some(left) => Some(Duration::from_secs_f64(left.max(0.0))),
        };
        Ok(Token { value: token.into_bytes(), life })
    }

    /// Whether it has expired.
    pub fn has_ended(&self) -> bool {
        self.life.is_some_and(|life| life.is_zero())
    }

    /// Encodes the token so that [`Token::read`] in another process returns the same. It states the remaining time and no
    /// point in time, because clocks differ.
    pub fn encode(&self) -> Vec<u8> {
        let text = std::str::from_utf8(&self.value).ok();
        match text.filter(|text| self.life.is_some() || text.starts_with('{')) {
            Some(token) => {
                let encoded = EncodedToken { token, expires_in: self.life.map(|life| life.as_secs_f64()) };
                serde_json::to_vec(&encoded).unwrap_or_default()
            }
            None => self.value.clone(),
        }
    }
}

/// Parses a time such as `2026-11-25T13:00:00.5+01:00` into seconds since 1970. A leap second counts as the second before.
/// `None` if the text is not RFC 3339.
pub fn rfc3339(text: &str) -> Option<f64> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let has_mark =
        |at: usize, marks: &str| text.as_bytes().get(at).is_some_and(|byte| marks.contains(char::from(*byte)));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let has_marks =
        has_mark(4, "-") && has_mark(7, "-") && has_mark(10, "Tt ") && has_mark(13, ":") && has_mark(16, ":");
    let days_in_month = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !has_marks || !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
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
    let offset = match zone.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => {
            let two_digits = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
            let (hours, minutes) = (two_digits(a, b), two_digits(c, d));
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'+' { 60 } else { -60 }
        }
        _ => return None,
    };
    // Days since 1970 in the Gregorian calendar, counted from 1 March of the year 0 so that a leap day ends a year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day
            - 1
            - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second.min(59) - offset;
    // Before the year 10000 a double is exact to microseconds.
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
            let again = Token::read(&token.encode(), NOW * 2).unwrap_or_else(|why| panic!("{why}"));
            assert!(token == again, "{printed}");
        }
        let token = Token { value: vec![b'{', 0xff], life: None };
        assert!(Token::read(&token.encode(), NOW).ok() == Some(token));
    }
}
