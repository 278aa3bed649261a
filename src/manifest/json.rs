//! A parser for JSON with comments and trailing commas; each value knows its line, its column and its bytes.
//!
//! Strict where JSON is ambiguous: a repeated key, half a surrogate pair and a number out of range are errors.
//! Nesting is bounded; no input panics. Lines end with LF, CRLF or CR; a column counts characters.

use crate::text::needs_escape;
use std::fmt::Write as _;

/// Arrays and objects inside each other.
const MAX_DEPTH: usize = 64;

/// Characters of text that an error quotes.
const MAX_EXCERPT_CHARS: usize = 80;

/// A place in the text, for people. Both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// The bytes `start..end` of the parsed text; a byte order mark counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub at: Position,
    /// The value alone, without blanks and comments around it: it can be replaced in place.
    pub span: Span,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(String),
    Array(Vec<Node>),
    /// In the order of the text; no key stands twice.
    Object(Vec<Member>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub key: String,
    /// Where the key begins.
    pub at: Position,
    /// The key with its quotes.
    pub key_span: Span,
    pub node: Node,
}

/// Why the text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub at: Position,
    pub what: String,
}

/// Parses the one value of `text`, which may begin with a byte order mark.
///
/// # Errors
/// The first [`SyntaxError`].
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser { length: text.len(), rest, at: Position { line: 1, column: 1 }, depth: 0 };
    parser.skip_blank()?;
    let node = parser.value()?;
    parser.skip_blank()?;
    match parser.peek() {
        None => Ok(node),
        Some(c) => parser.error(format!("{} after the end of the manifest's one value", describe(c))),
    }
}

impl Node {
    /// The kind of the value with an article, for an error.
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

    /// The value without its positions.
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

struct Parser<'a> {
    /// Bytes of the whole text.
    length: usize,
    /// The text that is not read yet.
    rest: &'a str,
    at: Position,
    depth: usize,
}

impl Parser<'_> {
    /// Bytes read so far.
    fn offset(&self) -> usize {
        self.length - self.rest.len()
    }

    /// The bytes from `start` to here.
    fn span_from(&self, start: usize) -> Span {
        Span { start, end: self.offset() }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        match c {
            '\r' if self.rest.starts_with('\n') => {}
            '\n' | '\r' => self.at = Position { line: self.at.line.saturating_add(1), column: 1 },
            _ => self.at.column = self.at.column.saturating_add(1),
        }
        Some(c)
    }

    fn error<T>(&self, what: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { at: self.at, what: what.into() })
    }

    /// The next character in words.
    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end of the file".into(), describe)
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\n' | '\r') => {
                    self.advance();
                }
                Some('/') if self.rest.starts_with("//") => {
                    while self.peek().is_some_and(|c| c != '\n' && c != '\r') {
                        self.advance();
                    }
                }
                Some('/') if self.rest.starts_with("/*") => {
                    let start = self.at;
                    self.advance();
                    self.advance();
                    while !self.rest.starts_with("*/") {
                        if self.advance().is_none() {
                            return Err(SyntaxError { at: start, what: "a `/*` comment without its `*/`".into() });
                        }
                    }
                    self.advance();
                    self.advance();
                }
                Some('#') => return self.error("`#` begins no comment here: write `//` or `/* */`"),
                _ => return Ok(()),
            }
        }
    }

    fn value(&mut self) -> Result<Node, SyntaxError> {
        let (at, start) = (self.at, self.offset());
        let value = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some('"') => Value::String(self.string()?),
            Some('\'') => return self.error("a string stands in double quotes"),
            Some(c) if c == '-' || c == '+' || c == '.' || c.is_ascii_digit() => self.number()?,
            Some(c) if c.is_alphabetic() || c == '_' => self.word()?,
            _ => return self.error(format!("expected a value, found {}", self.found())),
        };
        Ok(Node { at, span: self.span_from(start), value })
    }

    fn nested(&mut self, inside: fn(&mut Self) -> Result<Value, SyntaxError>) -> Result<Value, SyntaxError> {
        if self.depth == MAX_DEPTH {
            return self.error(format!("more than {MAX_DEPTH} arrays and objects inside each other"));
        }
        self.depth += 1;
        let value = inside(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, SyntaxError> {
        self.advance();
        let mut members: Vec<Member> = Vec::new();
        // Line of each key. A search in `members` would cost the square of a large object's size.
        let mut lines = std::collections::HashMap::new();
        loop {
            self.skip_blank()?;
            let (at, start) = (self.at, self.offset());
            match self.peek() {
                Some('}') => break,
                Some('"') => {}
                Some('\'') => return self.error("a key stands in double quotes"),
                Some(c) if c.is_alphanumeric() || c == '_' || c == '$' => {
                    return self.error("a key stands in double quotes");
                }
                _ => return self.error(format!("expected a key or `}}`, found {}", self.found())),
            }
            let key = self.string()?;
            let key_span = self.span_from(start);
            if let Some(first) = lines.insert(key.clone(), at.line) {
                let what = format!("key `{}` stands here twice, first in line {first}", excerpt(&key));
                return Err(SyntaxError { at, what });
            }
            self.skip_blank()?;
            if self.peek() != Some(':') {
                return self.error(format!("expected `:` after key `{}`, found {}", excerpt(&key), self.found()));
            }
            self.advance();
            self.skip_blank()?;
            let node = self.value()?;
            members.push(Member { key, at, key_span, node });
            self.skip_blank()?;
            match self.peek() {
                Some(',') => {
                    self.advance();
                }
                Some('}') => {}
                _ => return self.error(format!("expected `,` or `}}`, found {}", self.found())),
            }
        }
        self.advance();
        Ok(Value::Object(members))
    }

    fn array(&mut self) -> Result<Value, SyntaxError> {
        self.advance();
        let mut nodes = Vec::new();
        loop {
            self.skip_blank()?;
            if self.peek() == Some(']') {
                break;
            }
            nodes.push(self.value()?);
            self.skip_blank()?;
            match self.peek() {
                Some(',') => {
                    self.advance();
                }
                Some(']') => {}
                _ => return self.error(format!("expected `,` or `]`, found {}", self.found())),
            }
        }
        self.advance();
        Ok(Value::Array(nodes))
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.advance();
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return self.error("a string without its closing `\"`"),
                Some('"') => {
                    self.advance();
                    return Ok(text);
                }
                Some('\n' | '\r') => return self.error("a string without its closing `\"`: a new line in it is `\\n`"),
                Some('\\') => text.push(self.escape()?),
                Some(c) if c < ' ' => {
                    return self.error(format!("{} in a string: write `\\u{:04x}`", describe(c), u32::from(c)));
                }
                Some(c) => {
                    self.advance();
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let at = self.at;
        let bad = |what: &str| Err(SyntaxError { at, what: what.into() });
        self.advance();
        let Some(c) = self.peek() else { return self.error("a string without its closing `\"`") };
        let meant = match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                self.advance();
                let Some(first) = self.hex4() else { return bad("`\\u` wants four hexadecimal digits") };
                let code = match first {
                    0xd800..=0xdbff => {
                        let low = self.rest.starts_with("\\u").then(|| {
                            self.advance();
                            self.advance();
                            self.hex4()
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
            _ => return bad(&format!("unknown escape `\\{}`: a backslash itself is `\\\\`", excerpt(&c.to_string()))),
        };
        self.advance();
        Ok(meant)
    }

    /// Reads four hexadecimal digits.
    fn hex4(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let code = u32::from_str_radix(digits, 16).ok()?;
        for _ in 0..4 {
            self.advance();
        }
        Some(code)
    }

    /// Reads every character that a word or a number could hold.
    fn token(&mut self) -> String {
        let mut token = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.')) {
            self.advance();
            token.push(c);
        }
        token
    }

    fn word(&mut self) -> Result<Value, SyntaxError> {
        let at = self.at;
        match self.token().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            other => Err(SyntaxError {
                at,
                what: format!("unknown word `{}`: a string stands in double quotes", excerpt(other)),
            }),
        }
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let at = self.at;
        let token = self.token();
        let bad = |why: &str| Err(SyntaxError { at, what: format!("bad number `{}`: {why}", excerpt(&token)) });
        if !is_number(&token) {
            return bad("digits, as in `12`, `-3`, `0.5` or `1e9`, are wanted");
        }
        match token.parse::<serde_json::Number>() {
            Ok(number) => Ok(Value::Number(number)),
            Err(_) => bad("out of range"),
        }
    }
}

/// Is it a number by JSON's grammar? `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
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

fn describe(c: char) -> String {
    if c.is_control() {
        format!("control character U+{:04X}", u32::from(c))
    } else {
        format!("`{}`", excerpt(&c.to_string()))
    }
}

/// `text` for one line of an error: characters that would act or hide on a terminal, line ends too, are escaped.
pub fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if needs_escape(c) || c.is_control() {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// The beginning of `text`, [`printable`].
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT_CHARS) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
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

    /// Every key and value below `node`, as text and as its bytes in `text` read.
    fn assert_spans(text: &str, node: &Node) {
        let bytes = |span: Span| text.get(span.start..span.end).unwrap_or_else(|| panic!("{text:?}: {span:?}"));
        assert_eq!(parse(bytes(node.span)).unwrap().plain(), node.plain(), "{text:?}");
        assert_eq!(bytes(node.span), bytes(node.span).trim());
        match &node.value {
            Value::Object(members) => {
                for member in members {
                    assert_eq!(plain(bytes(member.key_span)), serde_json::json!(member.key), "{text:?}");
                    assert_spans(text, &member.node);
                }
            }
            Value::Array(nodes) => nodes.iter().for_each(|node| assert_spans(text, node)),
            _ => {}
        }
    }

    #[test]
    fn spans_cover_exactly_the_text_of_keys_and_values() {
        let text = "\u{feff}// é\r\n{ /* a */ \"\\u0061é\" /* : */ : /* 1 */ [ 1, // one\n-2e3 ,\"x\" ] , \"b\":null }";
        let node = parse(text).unwrap();
        let Value::Object(members) = &node.value else { panic!() };
        let Value::Array(values) = &members[0].node.value else { panic!() };
        let spans = [node.span, members[0].key_span, members[0].node.span, members[1].key_span, members[1].node.span];
        let found: Vec<&str> =
            spans.into_iter().chain(values.iter().map(|node| node.span)).map(|s| &text[s.start..s.end]).collect();
        let array = "[ 1, // one\n-2e3 ,\"x\" ]";
        let object = &text[text.find('{').unwrap()..];
        assert_eq!(found, [object, "\"\\u0061é\"", array, "\"b\"", "null", "1", "-2e3", "\"x\""]);
        assert_spans(text, &node);
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
            if let Ok(node) = &ours {
                assert_spans(&text, node);
            }
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
                match ours {
                    Ok(node) => assert_eq!(node.plain(), value, "{text:?}"),
                    Err(fault) => assert!(fault.what.contains("twice"), "{text:?}: {fault:?}"),
                }
            }
        }
    }
}
