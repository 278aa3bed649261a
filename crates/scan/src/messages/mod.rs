//! What a request to the model may ask of the model's own servers: they stand outside the bottle's allowlist, and what
//! they fetch, run or call is fetched, run or called with the gate's credential. Web search is allowed; anything else only
//! by name.
//!
//! The body is read as it streams; the gate keeps its last part back until all of it was read.

mod json;

pub use json::{Event, Json, Limits};

/// Where in a request a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Top,
    Servers,
    Container,
    Tools,
    Tool,
    ToolType,
    Turns,
    Turn,
    Content,
    Block,
    BlockType,
    Source,
    SourceType,
    /// Where no server acts on it.
    Free,
}

/// What the types of tools begin with that run in the bottle, and that of web search, which is always allowed.
const LOCAL_TOOLS: [&str; 5] = ["bash_", "text_editor_", "computer_", "memory_", "web_search_"];
/// Types of sources that are in the request itself.
const INLINE_SOURCES: [&[u8]; 3] = [b"base64", b"text", b"content"];

/// Reads one body.
pub struct Messages {
    json: Json,
    check: ServerToolsCheck,
}

/// What was read, and what is allowed.
struct ServerToolsCheck {
    /// Objects and arrays that are open: what each is, and which of its keys were there.
    open: Vec<(Position, u8)>,
    /// Where the next value stands.
    next: Position,
    /// The route's `server_tools`.
    allowed: Vec<String>,
}

impl Messages {
    /// `allowed`: the route's `server_tools`.
    pub fn new(allowed: &[String]) -> Messages {
        Messages {
            json: Json::default(),
            check: ServerToolsCheck { open: Vec::new(), next: Position::Top, allowed: allowed.to_vec() },
        }
    }

    /// Reads more of the body. The error says for the agent why the request is denied.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        let check = &mut self.check;
        self.json.push(bytes, |event| check.read(event)).map_err(denial_text)
    }

    pub fn finish(&mut self) -> Result<(), String> {
        self.json.finish().map_err(denial_text)
    }
}

fn denial_text(why: String) -> String {
    format!("the model's host gets no such request: {why}")
}

impl ServerToolsCheck {
    fn read(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::End => {
                self.open.pop();
                self.expect_element();
                Ok(())
            }
            Event::Key(key) => self.key(key),
            Event::Object | Event::Array => {
                let position = self.position_in(&event)?;
                self.open.push((position, 0));
                self.expect_element();
                Ok(())
            }
            Event::Text(_) | Event::Null | Event::Scalar => {
                self.value(&event)?;
                self.expect_element();
                Ok(())
            }
        }
    }

    /// Sets where the next element of an open array stands; in an object, its key says that.
    fn expect_element(&mut self) {
        self.next = match self.open.last() {
            Some((Position::Tools, _)) => Position::Tool,
            Some((Position::Turns, _)) => Position::Turn,
            Some((Position::Content, _)) => Position::Block,
            Some((Position::Servers, _)) => Position::Servers,
            _ => Position::Free,
        };
    }

    fn key(&mut self, key: &[u8]) -> Result<(), String> {
        let Some((position, seen)) = self.open.last_mut() else { return Ok(()) };
        // A server that compares keys without case must not read another request.
        let key = key.to_ascii_lowercase();
        let (next, bit) = match (*position, &key[..]) {
            (Position::Top, b"mcp_servers") => (Position::Servers, 1),
            (Position::Top, b"container") => (Position::Container, 2),
            (Position::Top, b"tools") => (Position::Tools, 4),
            (Position::Top, b"messages") => (Position::Turns, 8),
            (Position::Top, b"system") => (Position::Content, 16),
            (Position::Tool, b"type") => (Position::ToolType, 1),
            (Position::Turn | Position::Block | Position::Source, b"content") => (Position::Content, 2),
            (Position::Block, b"source") => (Position::Source, 4),
            (Position::Block, b"type") => (Position::BlockType, 1),
            (Position::Source, b"type") => (Position::SourceType, 1),
            _ => (Position::Free, 0),
        };
        if *seen & bit != 0 {
            return Err(format!("`{}` is there twice", String::from_utf8_lossy(&key)));
        }
        *seen |= bit;
        self.next = next;
        Ok(())
    }

    /// Where the contents of an object or array stand that opens here.
    fn position_in(&self, event: &Event) -> Result<Position, String> {
        let object = *event == Event::Object;
        match (self.next, object) {
            (Position::Servers, false) if self.open.last().is_some_and(|(position, _)| *position == Position::Top) => {
                Ok(if self.is_allowed("mcp_servers") { Position::Free } else { Position::Servers })
            }
            (Position::Servers, _) => self.require("mcp_servers").map(|()| Position::Free),
            (Position::Container, _) => self.require("container").map(|()| Position::Free),
            (Position::Content, true) => Ok(Position::Block),
            (Position::Top | Position::Tool | Position::Turn | Position::Block | Position::Source, true) => {
                Ok(self.next)
            }
            (Position::Tools | Position::Turns | Position::Content, false) | (Position::Free, _) => Ok(self.next),
            _ => Err(self.misshapen()),
        }
    }

    /// Checks a value that is neither an object nor an array.
    fn value(&self, event: &Event) -> Result<(), String> {
        match (self.next, event) {
            // An element of a list that must be empty.
            (Position::Servers, Event::Null)
                if self.open.last().is_some_and(|(position, _)| *position == Position::Servers) =>
            {
                self.require("mcp_servers")
            }
            (Position::Free, _) => Ok(()),
            (Position::Top | Position::Turn, _) => Err(self.misshapen()),
            (_, Event::Null) => Ok(()),
            (Position::Servers, _) => self.require("mcp_servers"),
            (Position::Container, _) => self.require("container"),
            (Position::ToolType, Event::Text(kind)) => self.require_tool(kind),
            (Position::SourceType, Event::Text(kind)) => {
                if INLINE_SOURCES.contains(kind) {
                    Ok(())
                } else {
                    self.require(&String::from_utf8_lossy(kind))
                }
            }
            (Position::BlockType, Event::Text(kind)) => {
                if *kind == b"container_upload" {
                    self.require("container")
                } else {
                    Ok(())
                }
            }
            (Position::Content | Position::Block | Position::Source, Event::Text(_)) => Ok(()),
            _ => Err(self.misshapen()),
        }
    }

    fn require_tool(&self, kind: &[u8]) -> Result<(), String> {
        let kind = String::from_utf8_lossy(kind);
        if kind == "custom" || LOCAL_TOOLS.iter().any(|known| kind.starts_with(known)) {
            Ok(())
        } else {
            self.require(&kind)
        }
    }

    /// Does the route name it, or the beginning of it?
    fn is_allowed(&self, what: &str) -> bool {
        self.allowed.iter().any(|allowed| what.starts_with(allowed.as_str()))
    }

    fn require(&self, what: &str) -> Result<(), String> {
        if self.is_allowed(what) {
            return Ok(());
        }
        let what: String = what.chars().take(64).filter(|c| c.is_ascii_graphic()).collect();
        Err(format!("`{what}` would make the model's servers act outside this bottle, which its route does not allow"))
    }

    fn misshapen(&self) -> String {
        "it is not a request to the Messages API".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(allowed: &[&str], body: &str) -> Result<(), String> {
        let allowed: Vec<String> = allowed.iter().map(|&word| word.to_owned()).collect();
        let whole = |parts: &[&[u8]]| {
            let mut messages = Messages::new(&allowed);
            parts.iter().try_for_each(|part| messages.push(part)).and_then(|()| messages.finish())
        };
        let verdict = whole(&[body.as_bytes()]);
        for at in 0..body.len() {
            assert_eq!(whole(&[&body.as_bytes()[..at], &body.as_bytes()[at..]]), verdict, "cut at {at}: {body}");
        }
        verdict
    }

    /// Each with what the route must name for it to pass.
    const ASKS: &[(&str, &str)] = &[
        (r#"{"mcp_servers":[{"type":"url","url":"https://x.example.org"}]}"#, "mcp_servers"),
        (r#"{"\u006dcp_servers":[{}]}"#, "mcp_servers"),
        (r#"{"MCP_Servers":[{}]}"#, "mcp_servers"),
        (r#"{"mcp_servers":{"a":1}}"#, "mcp_servers"),
        (r#"{"mcp_servers":[null]}"#, "mcp_servers"),
        (r#"{"mcp_servers":"x"}"#, "mcp_servers"),
        (r#"{"messages":[],"container":"c_1"}"#, "container"),
        (r#"{"container":{"skills":[]}}"#, "container"),
        (r#"{"tools":[{"name":"a","input_schema":{}},{"type":"web_fetch_20250910","name":"web_fetch"}]}"#, "web_fetch"),
        (r#"{"tools":[{"type":"code_execution_20250825","name":"x"}]}"#, "code_execution"),
        (r#"{"tools":[{"name":"x","type":"mcp_toset"}]}"#, "mcp_"),
        (r#"{"tools":[{"type":"web\u005ffetch_1"}]}"#, "web_fetch"),
        (
            r#"{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}]}"#,
            "url",
        ),
        (r#"{"messages":[{"content":[{"type":"document","source":{"file_id":"f","type":"file"}}]}]}"#, "file"),
        (r#"{"messages":[{"content":[{"type":"tool_result","content":[{"source":{"type":"url"}}]}]}]}"#, "url"),
        (r#"{"messages":[{"content":[{"source":{"type":"content","content":[{"source":{"type":"url"}}]}}]}]}"#, "url"),
        (r#"{"system":[{"type":"document","source":{"type":"url"}}]}"#, "url"),
        (r#"{"messages":[{"content":[{"type":"container_upload","file_id":"f"}]}]}"#, "container"),
        (r#"{"messages":[{"content":{"type":"image","source":{"type":"url"}}}]}"#, "url"),
    ];

    #[test]
    fn what_makes_the_models_servers_act_is_refused_unless_it_is_named() {
        for (body, name) in ASKS {
            let why = judge(&[], body).unwrap_err();
            assert!(why.contains("which its route does not allow"), "{body}: {why}");
            assert_eq!(judge(&["other", name], body), Ok(()), "{body}");
        }
    }

    #[test]
    fn what_a_session_says_passes() {
        for body in [
            r#"{"model":"m","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"mcp_servers container"}]}"#,
            r#"{"mcp_servers":[],"container":null,"tools":null,"messages":[]}"#,
            r#"{"tools":[{"name":"Bash","input_schema":{"type":"object","properties":{"mcp_servers":{"type":"url"}}}},
                {"type":"custom","name":"a"},{"type":"web_search_20250305","name":"web_search","max_uses":8},
                {"type":"bash_20250124","name":"bash"},{"type":null}]}"#,
            r#"{"system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"messages":[
                {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"Write","input":{"source":{"type":"url"},
                    "container":"x","tools":[{"type":"web_fetch_1"}],"content":[{"source":{"type":"file"}}]}}]},
                {"role":"user","content":[{"type":"tool_result","content":"{\"mcp_servers\":[1]}"},
                    {"type":"tool_result","content":[{"type":"text","text":"a"},{"type":"image",
                        "source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]},
                    {"type":"search_result","source":"https://x","content":[]}]}],
                "metadata":{"user_id":"u","container":"x"},"thinking":{"type":"enabled"}}"#,
        ] {
            assert_eq!(judge(&[], body), Ok(()), "{body}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for body in [
            "",
            "[]",
            "null",
            "\"x\"",
            "{}{}",
            "{\"messages\":[1]}",
            "{\"messages\":\"x\"}",
            "{\"tools\":{\"type\":\"web_fetch\"}}",
            "{\"tools\":[\"x\"]}",
            "{\"tools\":[{\"type\":1}]}",
            "{\"tools\":[{\"type\":[\"web_fetch\"]}]}",
            "{\"tools\":[],\"tools\":[]}",
            "{\"tools\":[],\"\\u0074ools\":[]}",
            "{\"messages\":[{\"content\":[{\"source\":{\"type\":\"base64\",\"type\":\"text\"}}]}]}",
            "{\"messages\":[{\"content\":[{\"source\":[{\"type\":\"url\"}]}]}]}",
            "{\"a\":1",
            "{\"a\":1} // x",
        ] {
            assert!(judge(&[], body).is_err(), "{body}");
        }
    }
}
