//! A strict parser of JSON as it streams by (RFC 8259): any split into parts gives the same events, nothing is collected but
//! the beginning of a string, and what no parser should accept is an error.

/// Bytes of a string that are kept where it is only compared with words, all of which are shorter.
const MAX_STRING_BYTES: usize = 96;
/// Objects and arrays in one another.
const MAX_DEPTH: usize = 512;
/// Bytes of a number. More of one are counted and not kept.
const MAX_NUMBER_BYTES: usize = 400;

/// What was read. Strings are unescaped, and cut at [`Limits::string`]: a cut string equals no word that it is compared with.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    Object,
    Array,
    End,
    Key(&'a [u8]),
    Text(&'a [u8]),
    Null,
    /// A number, `true` or `false`. A number is cut at [`MAX_NUMBER_BYTES`].
    Scalar(&'a [u8]),
}

/// What may come next, between tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value, or the array's end.
    First,
    /// A key, or the object's end.
    FirstKey,
    Key,
    Colon,
    /// A comma, or the end of what is open.
    Comma,
}

/// The token that the next byte stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    String,
    Escape,
    /// So many digits of `\u` were read.
    Unicode(u8),
    /// A number or a name.
    Word,
}

/// What of one value is kept, and what is too much.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a string that are kept; the rest is read and dropped.
    pub string: usize,
    /// Objects and arrays in one another; more are an error.
    pub depth: usize,
    /// Bytes of a number; more are an error.
    pub number: usize,
}

/// Reads one value.
#[derive(Debug)]
pub struct Json {
    expect: Expect,
    inside: Inside,
    /// Objects (true) and arrays that are open.
    open: Vec<bool>,
    /// The string is an object's key.
    is_key: bool,
    /// The string or word that is read.
    text: Vec<u8>,
    /// Bytes of the word so far, of which `text` has the beginning.
    word_bytes: usize,
    limits: Limits,
    /// The digits of `\u` so far.
    unit: u16,
    /// The first half of a surrogate pair.
    high: Option<u16>,
    /// An unfinished character of UTF-8.
    tail: Vec<u8>,
    /// The value is whole.
    done: bool,
}

const MALFORMED: &str = "it is not JSON";

impl Default for Json {
    fn default() -> Json {
        Json::new(Limits { string: MAX_STRING_BYTES, depth: MAX_DEPTH, number: MAX_NUMBER_BYTES })
    }
}

impl Json {
    pub fn new(limits: Limits) -> Json {
        Json {
            expect: Expect::Value,
            inside: Inside::Nothing,
            open: Vec::new(),
            is_key: false,
            text: Vec::new(),
            word_bytes: 0,
            limits,
            unit: 0,
            high: None,
            tail: Vec::new(),
            done: false,
        }
    }

    /// Calls `tell` for each event in these bytes. The error says what is wrong; nothing may be pushed behind it.
    pub fn push<T>(&mut self, bytes: &[u8], mut tell: T) -> Result<(), String>
    where
        T: FnMut(Event) -> Result<(), String>,
    {
        self.check_utf8(bytes)?;
        let mut at = 0;
        while at < bytes.len() {
            if self.inside == Inside::String {
                // Most of a body is neither the end of a string nor an escape.
                let plain = bytes[at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count();
                self.keep(&bytes[at..at + plain]);
                at += plain;
            }
            let Some(byte) = bytes.get(at) else { break };
            at += usize::from(self.step(*byte, &mut tell)?);
        }
        Ok(())
    }

    /// The body has ended: an error if the value is not whole.
    pub fn finish(&self) -> Result<(), String> {
        if self.done && self.tail.is_empty() { Ok(()) } else { Err("it ends too early".to_owned()) }
    }

    /// False: the byte ended a word, and is to be read again.
    fn step<T>(&mut self, byte: u8, tell: &mut T) -> Result<bool, String>
    where
        T: FnMut(Event) -> Result<(), String>,
    {
        match self.inside {
            Inside::Nothing => self.between(byte, tell)?,
            Inside::String => match byte {
                b'"' => {
                    self.flush_high();
                    self.inside = Inside::Nothing;
                    let event = if self.is_key { Event::Key(&self.text) } else { Event::Text(&self.text) };
                    tell(event)?;
                    if self.is_key { self.expect = Expect::Colon } else { self.end_value() }
                }
                b'\\' => self.inside = Inside::Escape,
                _ => return Err("a string has a control character".to_owned()),
            },
            Inside::Escape => {
                let plain = match byte {
                    b'"' | b'\\' | b'/' => byte,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'u' => {
                        (self.unit, self.inside) = (0, Inside::Unicode(0));
                        return Ok(true);
                    }
                    _ => return Err(MALFORMED.to_owned()),
                };
                self.keep(&[plain]);
                self.inside = Inside::String;
            }
            Inside::Unicode(count) => {
                let digit = char::from(byte).to_digit(16).ok_or(MALFORMED)?;
                self.unit = self.unit << 4 | digit as u16;
                self.inside = Inside::Unicode(count + 1);
                if count == 3 {
                    self.end_unicode();
                    self.inside = Inside::String;
                }
            }
            Inside::Word => {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.') {
                    self.word_bytes += 1;
                    if self.word_bytes <= MAX_NUMBER_BYTES {
                        self.text.push(byte);
                    }
                    return if self.word_bytes > self.limits.number {
                        Err("a number is too long".to_owned())
                    } else {
                        Ok(true)
                    };
                }
                self.inside = Inside::Nothing;
                match &self.text[..] {
                    b"null" => tell(Event::Null)?,
                    text @ (b"true" | b"false") => tell(Event::Scalar(text))?,
                    text if is_number(text) => tell(Event::Scalar(text))?,
                    // Its form is not checked to the end: only a reader that forgives more takes such a number.
                    text if self.word_bytes > MAX_NUMBER_BYTES => tell(Event::Scalar(text))?,
                    _ => return Err(MALFORMED.to_owned()),
                }
                self.end_value();
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn between<T>(&mut self, byte: u8, tell: &mut T) -> Result<(), String>
    where
        T: FnMut(Event) -> Result<(), String>,
    {
        use Expect::{Colon, Comma, First, FirstKey, Key, Value};
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Ok(());
        }
        if self.done {
            return Err("something follows it".to_owned());
        }
        match (self.expect, byte) {
            (Value | First, b'{' | b'[') => {
                if self.open.len() >= self.limits.depth {
                    return Err("it is nested too deeply".to_owned());
                }
                let object = byte == b'{';
                self.open.push(object);
                self.expect = if object { FirstKey } else { First };
                tell(if object { Event::Object } else { Event::Array })?;
            }
            (Value | First, b'"') => self.begin_string(false),
            (Value | First, b'-' | b'0'..=b'9' | b'a'..=b'z') => {
                self.text.clear();
                self.text.push(byte);
                self.inside = Inside::Word;
                self.word_bytes = 1;
            }
            (FirstKey | Key, b'"') => self.begin_string(true),
            (Colon, b':') => self.expect = Value,
            (Comma, b',') => self.expect = if self.open.last() == Some(&true) { Key } else { Value },
            (First | Comma, b']') if self.open.last() == Some(&false) => self.close(tell)?,
            (FirstKey | Comma, b'}') if self.open.last() == Some(&true) => self.close(tell)?,
            _ => return Err(MALFORMED.to_owned()),
        }
        Ok(())
    }

    fn begin_string(&mut self, is_key: bool) {
        self.text.clear();
        (self.is_key, self.inside, self.high) = (is_key, Inside::String, None);
    }

    fn close<T>(&mut self, tell: &mut T) -> Result<(), String>
    where
        T: FnMut(Event) -> Result<(), String>,
    {
        self.open.pop();
        tell(Event::End)?;
        self.end_value();
        Ok(())
    }

    fn end_value(&mut self) {
        self.done = self.open.is_empty();
        self.expect = Expect::Comma;
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.flush_high();
        }
        let room = self.limits.string.saturating_sub(self.text.len());
        self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// A first half without its second is no character.
    fn flush_high(&mut self) {
        if self.high.take().is_some() {
            self.keep("\u{fffd}".as_bytes());
        }
    }

    fn end_unicode(&mut self) {
        let unit = self.unit;
        let character = match (self.high, unit) {
            (Some(high), 0xdc00..=0xdfff) => {
                self.high = None;
                char::from_u32(0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00))
            }
            (_, 0xd800..=0xdbff) => {
                self.flush_high();
                self.high = Some(unit);
                return;
            }
            (_, unit) => char::from_u32(u32::from(unit)),
        };
        let mut bytes = [0; 4];
        self.keep(character.unwrap_or('\u{fffd}').encode_utf8(&mut bytes).as_bytes());
    }

    fn check_utf8(&mut self, bytes: &[u8]) -> Result<(), String> {
        const NOT_UTF8: &str = "it is not UTF-8";
        let mut bytes = bytes;
        while !self.tail.is_empty() {
            let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
            self.tail.push(*first);
            bytes = rest;
            match std::str::from_utf8(&self.tail) {
                Ok(_) => self.tail.clear(),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(NOT_UTF8.to_owned()),
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => {}
            Err(error) if error.error_len().is_none() => self.tail.extend_from_slice(&bytes[error.valid_up_to()..]),
            Err(_) => return Err(NOT_UTF8.to_owned()),
        }
        Ok(())
    }
}

fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(parts: &[&[u8]]) -> Result<Vec<String>, String> {
        let (mut json, mut seen) = (Json::default(), Vec::new());
        for part in parts {
            json.push(part, |event| {
                seen.push(match event {
                    Event::Key(text) => format!("key {}", String::from_utf8_lossy(text)),
                    Event::Text(text) => format!("text {}", String::from_utf8_lossy(text)),
                    Event::Scalar(text) => format!("scalar {}", String::from_utf8_lossy(text)),
                    other => format!("{other:?}").to_lowercase(),
                });
                Ok(())
            })?;
        }
        json.finish().map(|()| seen)
    }

    #[test]
    fn escapes_are_undone_in_keys_and_texts() {
        let text = br#" {"\u006dcp":"a\/\n\ud83d\ude00\ud800x","b":[1,-0.5e+9,true,null,{}]} "#;
        let wanted = [
            "object",
            "key mcp",
            "text a/\n\u{1f600}\u{fffd}x",
            "key b",
            "array",
            "scalar 1",
            "scalar -0.5e+9",
            "scalar true",
            "null",
            "object",
            "end",
            "end",
            "end",
        ];
        assert_eq!(read(&[text]).unwrap(), wanted);
        for at in 0..text.len() {
            assert_eq!(read(&[&text[..at], &text[at..]]).unwrap(), wanted, "cut at {at}");
        }
    }

    #[test]
    fn what_no_parser_should_take_is_refused() {
        for bad in [
            "",
            " ",
            "{",
            "{]",
            "[}",
            "{\"a\"}",
            "{\"a\":1,}",
            "[1,]",
            "{'a':1}",
            "{a:1}",
            "[01]",
            "[1.]",
            "[+1]",
            "[.5]",
            "[NaN]",
            "[nul]",
            "[1 2]",
            "{} {}",
            "{}x",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"a\nb\"",
            "//\n{}",
            "\u{feff}{}",
            "[1e]",
            "[--1]",
            "[1,,2]",
            "{,}",
            "[tru\u{65}e]",
        ] {
            assert!(read(&[bad.as_bytes()]).is_err(), "{bad}");
        }
        assert!(read(&[b"\"\xc0\xae\""]).is_err());
        assert!(read(&[b"\"\xe2\x82\""]).is_err());
        assert!(read(&["[".repeat(MAX_DEPTH + 1).as_bytes()]).is_err());
    }

    proptest! {
        /// It takes what serde_json takes, wherever it is cut, and nothing else.
        #[test]
        fn it_agrees_with_another_parser(text in r#"[\[\]{}",:a-c\\u0-9.eE \-]{0,24}|(\{"[a-z]{0,3}":(\[[0-9,]{0,5}\]|"[a-zé]{0,4}"|-?[0-9]{1,4})\})"#, cut in 0usize..24) {
            let cut = cut.min(text.len());
            let whole = read(&[text.as_bytes()]);
            let parts = read(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..]]);
            prop_assert_eq!(&whole, &parts);
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            // A lone word is a value to them; a body is an object here, and that is asked elsewhere.
            if text.trim_start().starts_with(['{', '[', '"']) {
                prop_assert_eq!(whole.is_ok(), theirs.is_ok(), "{}", text);
            }
        }
    }
}
