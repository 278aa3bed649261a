//! JSON with comments and trailing commas, into values that know their line and column.
//!
//! Strict where JSON is ambiguous: a key twice, half a surrogate pair, a number out of range are refused.
//! Depth is bounded; no input panics. Lines end with LF, CRLF or CR; a column counts characters.

use crate::text::needs_escape;
use std::fmt::Write as _;

/// Arrays and objects inside each other.
const DEPTH: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    pub line: u32,
    pub column: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub at: At,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(String),
    Array(Vec<Node>),
    /// In the order of the text; no key twice.
    Object(Vec<Member>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub key: String,
    /// Of the key.
    pub at: At,
    pub node: Node,
}

/// What the text is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub at: At,
    pub what: String,
}

/// The one value of `text`, which may begin with a byte order mark.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, at: At { line: 1, column: 1 }, depth: 0 };
    reader.blank()?;
    let node = reader.value()?;
    reader.blank()?;
    match reader.peek() {
        None => Ok(node),
        Some(c) => reader.fault(format!("{} after the end of the manifest's one value", shown(c))),
    }
}

impl Node {
    /// With an article, as an error says it.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// Without the positions.
    pub fn plain(&self) -> serde_json::Value {
        use serde_json::Value as Plain;
        match &self.value {
            Value::Null => Plain::Null,
            Value::Bool(b) => Plain::Bool(*b),
            Value::Number(n) => Plain::Number(n.clone()),
            Value::String(s) => Plain::String(s.clone()),
            Value::Array(nodes) => Plain::Array(nodes.iter().map(Node::plain).collect()),
            Value::Object(members) => Plain::Object(members.iter().map(|m| (m.key.clone(), m.node.plain())).collect()),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    at: At,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        match c {
            '\r' if self.rest.starts_with('\n') => {}
            '\n' | '\r' => self.at = At { line: self.at.line.saturating_add(1), column: 1 },
            _ => self.at.column = self.at.column.saturating_add(1),
        }
        Some(c)
    }

    fn fault<T>(&self, what: impl Into<String>) -> Result<T, Fault> {
        Err(Fault { at: self.at, what: what.into() })
    }

    /// What stands here, in words.
    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end of the file".into(), shown)
    }

    /// Skips white space and comments.
    fn blank(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\n' | '\r') => {
                    self.next();
                }
                Some('/') if self.rest.starts_with("//") => {
                    while self.peek().is_some_and(|c| c != '\n' && c != '\r') {
                        self.next();
                    }
                }
                Some('/') if self.rest.starts_with("/*") => {
                    let start = self.at;
                    self.next();
                    self.next();
                    while !self.rest.starts_with("*/") {
                        if self.next().is_none() {
                            return Err(Fault { at: start, what: "a `/*` comment without its `*/`".into() });
                        }
                    }
                    self.next();
                    self.next();
                }
                Some('#') => return self.fault("`#` begins no comment here: write `//` or `/* */`"),
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self) -> Result<Node, Fault> {
        let at = self.at;
        let value = match self.peek() {
            Some('{') => self.deeper(Self::object)?,
            Some('[') => self.deeper(Self::array)?,
            Some('"') => Value::String(self.string()?),
            Some('\'') => return self.fault("a string stands in double quotes"),
            Some(c) if c == '-' || c == '+' || c == '.' || c.is_ascii_digit() => self.number()?,
            Some(c) if c.is_alphabetic() || c == '_' => self.word()?,
            _ => return self.fault(format!("expected a value, found {}", self.found())),
        };
        Ok(Node { at, value })
    }

    fn deeper(&mut self, inside: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        if self.depth == DEPTH {
            return self.fault(format!("more than {DEPTH} arrays and objects inside each other"));
        }
        self.depth += 1;
        let value = inside(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, Fault> {
        self.next();
        let mut members: Vec<Member> = Vec::new();
        // Large objects must not cost the square of their size.
        let mut lines = std::collections::HashMap::new();
        loop {
            self.blank()?;
            let at = self.at;
            match self.peek() {
                Some('}') => break,
                Some('"') => {}
                Some('\'') => return self.fault("a key stands in double quotes"),
                Some(c) if c.is_alphanumeric() || c == '_' || c == '$' => {
                    return self.fault("a key stands in double quotes");
                }
                _ => return self.fault(format!("expected a key or `}}`, found {}", self.found())),
            }
            let key = self.string()?;
            if let Some(first) = lines.insert(key.clone(), at.line) {
                let what = format!("key `{}` stands here twice, first in line {first}", visible(&key));
                return Err(Fault { at, what });
            }
            self.blank()?;
            if self.peek() != Some(':') {
                return self.fault(format!("expected `:` after key `{}`, found {}", visible(&key), self.found()));
            }
            self.next();
            self.blank()?;
            let node = self.value()?;
            members.push(Member { key, at, node });
            self.blank()?;
            match self.peek() {
                Some(',') => {
                    self.next();
                }
                Some('}') => {}
                _ => return self.fault(format!("expected `,` or `}}`, found {}", self.found())),
            }
        }
        self.next();
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Result<Value, Fault> {
        self.next();
        let mut nodes = Vec::new();
        loop {
            self.blank()?;
            if self.peek() == Some(']') {
                break;
            }
            nodes.push(self.value()?);
            self.blank()?;
            match self.peek() {
                Some(',') => {
                    self.next();
                }
                Some(']') => {}
                _ => return self.fault(format!("expected `,` or `]`, found {}", self.found())),
            }
        }
        self.next();
        Ok(Value::Array(nodes))
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return self.fault("a string without its closing `\"`"),
                Some('"') => {
                    self.next();
                    return Ok(text);
                }
                Some('\n' | '\r') => return self.fault("a string without its closing `\"`: a new line in it is `\\n`"),
                Some('\\') => text.push(self.escape()?),
                Some(c) if c < ' ' => {
                    return self.fault(format!("{} in a string: write `\\u{:04x}`", shown(c), u32::from(c)));
                }
                Some(c) => {
                    self.next();
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let at = self.at;
        let bad = |what: &str| Err(Fault { at, what: what.into() });
        self.next();
        let Some(c) = self.peek() else { return self.fault("a string without its closing `\"`") };
        let meant = match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                self.next();
                let Some(first) = self.four() else { return bad("`\\u` wants four hexadecimal digits") };
                let code = match first {
                    0xd800..=0xdbff => {
                        let low = self.rest.starts_with("\\u").then(|| {
                            self.next();
                            self.next();
                            self.four()
                        });
                        match low.flatten() {
                            Some(low @ 0xdc00..=0xdfff) => 0x10000 + ((first - 0xd800) << 10) + (low - 0xdc00),
                            _ => return bad("half a surrogate pair: `\\ud83d` wants its `\\ude00`"),
                        }
                    }
                    _ => first,
                };
                return char::from_u32(code)
                    .map_or_else(|| bad("half a surrogate pair: `\\ude00` wants its `\\ud83d`"), Ok);
            }
            _ => return bad(&format!("unknown escape `\\{}`: a backslash itself is `\\\\`", visible(&c.to_string()))),
        };
        self.next();
        Ok(meant)
    }

    fn four(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let code = u32::from_str_radix(digits, 16).ok()?;
        for _ in 0..4 {
            self.next();
        }
        Some(code)
    }

    /// All that could belong to a word or number that stands here.
    fn token(&mut self) -> String {
        let mut token = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.')) {
            self.next();
            token.push(c);
        }
        token
    }

    fn word(&mut self) -> Result<Value, Fault> {
        let at = self.at;
        match self.token().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            other => {
                Err(Fault { at, what: format!("unknown word `{}`: a string stands in double quotes", visible(other)) })
            }
        }
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let at = self.at;
        let token = self.token();
        let fault = |why: &str| Err(Fault { at, what: format!("bad number `{}`: {why}", visible(&token)) });
        if !is_number(&token) {
            return fault("digits, as in `12`, `-3`, `0.5` or `1e9`, are wanted");
        }
        match token.parse::<serde_json::Number>() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => fault("out of range"),
        }
    }
}

/// JSON's own grammar: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn is_number(token: &str) -> bool {
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let rest = token.strip_prefix('-').unwrap_or(token);
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let (whole, part) = match mantissa.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && part.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

fn shown(c: char) -> String {
    if c.is_control() {
        format!("control character U+{:04X}", u32::from(c))
    } else {
        format!("`{}`", visible(&c.to_string()))
    }
}

/// What a manifest says goes to a terminal only with its control and direction characters made visible.
pub fn clean(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        // An error is one line: here nothing lays out text.
        if needs_escape(c) || c.is_control() {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The same, and short.
pub fn visible(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => clean(&text[..end]) + "…",
        None => clean(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        let fault = parse(text).expect_err(text);
        format!("{}:{}: {}", fault.at.line, fault.at.column, fault.what)
    }

    fn plain(text: &str) -> serde_json::Value {
        parse(text).unwrap_or_else(|f| panic!("{text}: {f:?}")).plain()
    }

    #[test]
    fn comments_and_trailing_commas_are_allowed() {
        let text = "\u{feff}// head\n{ /* a */ \"a\": [1, 2.5, -3e2,], // end\n \"b\": { \"c\": null, }, } // fin";
        assert_eq!(plain(text), serde_json::json!({ "a": [1, 2.5, -300.0], "b": { "c": null } }));
        assert_eq!(plain("[]"), serde_json::json!([]));
        assert_eq!(plain(r#""// no /* comment""#), serde_json::json!("// no /* comment"));
    }

    #[test]
    fn strings_know_every_escape() {
        assert_eq!(plain(r#""\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00""#), serde_json::json!("\"\\/\u{8}\u{c}\n\r\téé😀"));
        assert_eq!(fault(r#"["\ud83d"]"#), "1:3: half a surrogate pair: `\\ud83d` wants its `\\ude00`");
        assert_eq!(fault(r#"["\ude00"]"#), "1:3: half a surrogate pair: `\\ude00` wants its `\\ud83d`");
        assert_eq!(fault(r#"["\ud83d\u0041"]"#), "1:3: half a surrogate pair: `\\ud83d` wants its `\\ude00`");
        assert_eq!(fault(r#"["\u+123"]"#), "1:3: `\\u` wants four hexadecimal digits");
        assert_eq!(fault(r#"["\q"]"#), "1:3: unknown escape `\\q`: a backslash itself is `\\\\`");
        assert_eq!(fault("[\"a\nb\"]"), "1:4: a string without its closing `\"`: a new line in it is `\\n`");
        assert_eq!(fault("[\"a\tb\"]"), "1:4: control character U+0009 in a string: write `\\u0009`");
        assert_eq!(fault("[\"a"), "1:4: a string without its closing `\"`");
        assert_eq!(fault("[\"a\\"), "1:5: a string without its closing `\"`");
    }

    #[test]
    fn positions_are_right_behind_crlf_tabs_and_a_byte_order_mark() {
        for (text, line, column) in [
            ("{\r\n\t\"a\": x }", 2, 7),
            ("{\n\n\"a\": x }", 3, 6),
            ("{\r\r\"a\": x }", 3, 6),
            ("\u{feff}x", 1, 1),
            ("/* é\n */ x", 2, 5),
            ("[\"é😀\", x]", 1, 8),
        ] {
            let at = parse(text).expect_err(text).at;
            assert_eq!((at.line, at.column), (line, column), "{text:?}");
        }
        let Value::Object(members) = parse("{\n \"a\": 1,\r\n \"b\": 2 }").unwrap().value else { panic!() };
        assert_eq!((members[1].at.line, members[1].node.at.column), (3, 7));
    }

    #[test]
    fn faults_say_what_was_expected() {
        for (text, wanted) in [
            ("", "1:1: expected a value, found the end of the file"),
            ("{", "1:2: expected a key or `}`, found the end of the file"),
            ("[1 2]", "1:4: expected `,` or `]`, found `2`"),
            ("[,]", "1:2: expected a value, found `,`"),
            ("{\"a\" 1}", "1:6: expected `:` after key `a`, found `1`"),
            ("{\"a\":1 \"b\":2}", "1:8: expected `,` or `}`, found `\"`"),
            ("{\"a\":1,,}", "1:8: expected a key or `}`, found `,`"),
            ("{a:1}", "1:2: a key stands in double quotes"),
            ("{'a':1}", "1:2: a key stands in double quotes"),
            ("['a']", "1:2: a string stands in double quotes"),
            ("[True]", "1:2: unknown word `True`: a string stands in double quotes"),
            ("# x", "1:1: `#` begins no comment here: write `//` or `/* */`"),
            ("/ x", "1:1: expected a value, found `/`"),
            ("[ /* x", "1:3: a `/*` comment without its `*/`"),
            ("{} {}", "1:4: `{` after the end of the manifest's one value"),
            ("{\"a\":1,\n\"a\":2}", "2:1: key `a` stands here twice, first in line 1"),
            ("[01]", "1:2: bad number `01`: digits, as in `12`, `-3`, `0.5` or `1e9`, are wanted"),
            ("[1.]", "1:2: bad number `1.`: digits, as in `12`, `-3`, `0.5` or `1e9`, are wanted"),
            ("[+1]", "1:2: bad number `+1`: digits, as in `12`, `-3`, `0.5` or `1e9`, are wanted"),
            ("[1e999]", "1:2: bad number `1e999`: out of range"),
            ("[\u{7f}]", "1:2: expected a value, found control character U+007F"),
        ] {
            assert_eq!(fault(text), wanted, "{text:?}");
        }
        let deep = "[".repeat(1 << 20);
        assert_eq!(fault(&deep), "1:65: more than 64 arrays and objects inside each other");
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    }

    #[test]
    fn no_text_panics_and_what_serde_json_reads_reads_the_same() {
        let alphabet: Vec<char> = "{}[]:,\"\\/*#\r\n\t u0dD8e19.-+'truefalsn\u{0}\u{feff}é😀".chars().collect();
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        for _ in 0..50_000 {
            let length = random(24);
            let text: String = (0..length).map(|_| alphabet[random(alphabet.len())]).collect();
            let ours = parse(&text);
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
                match ours {
                    Ok(node) => assert_eq!(node.plain(), value, "{text:?}"),
                    Err(fault) => assert!(fault.what.contains("twice"), "{text:?}: {fault:?}"),
                }
            }
        }
    }
}
