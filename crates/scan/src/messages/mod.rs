//! What a request to the model may ask of the model's own servers: they stand outside the bottle's allowlist, and what
//! they fetch, run or call is fetched, run or called with our credential. Web search is allowed; the rest only by name.
//!
//! The body is read as it streams; whoever forwards it keeps its end back until it was read whole.

mod json;

pub use json::{Event, Json, Limits};

/// What a value is, by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
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
    /// Nobody acts on it.
    Free,
}

/// Types of tools that run in the bottle, and the one of the model's servers that is always allowed; by their beginning.
const TOOLS: [&str; 5] = ["bash_", "text_editor_", "computer_", "memory_", "web_search_"];
/// Sources that lie in the request itself.
const SOURCES: [&[u8]; 3] = [b"base64", b"text", b"content"];

/// Reads one body.
pub struct Messages {
    json: Json,
    rule: Rule,
}

struct Rule {
    /// Objects and arrays that are open: what each is, and which of its keys were there.
    open: Vec<(Place, u8)>,
    next: Place,
    allowed: Vec<String>,
}

impl Messages {
    /// `allowed`: the route's `server_tools`.
    pub fn new(allowed: &[String]) -> Messages {
        Messages { json: Json::default(), rule: Rule { open: Vec::new(), next: Place::Top, allowed: allowed.to_vec() } }
    }

    /// The error is for the agent.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        let rule = &mut self.rule;
        self.json.push(bytes, |event| rule.meet(event)).map_err(said)
    }

    pub fn finish(&mut self) -> Result<(), String> {
        self.json.finish().map_err(said)
    }
}

fn said(why: String) -> String {
    format!("the model's host gets no such request: {why}")
}

impl Rule {
    fn meet(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::End => {
                self.open.pop();
                self.settle();
                Ok(())
            }
            Event::Key(key) => self.key(key),
            Event::Object | Event::Array => {
                let place = self.opened(&event)?;
                self.open.push((place, 0));
                self.settle();
                Ok(())
            }
            Event::Text(_) | Event::Null | Event::Scalar => {
                self.value(&event)?;
                self.settle();
                Ok(())
            }
        }
    }

    /// What the next element is, if an array is open; a key says it in an object.
    fn settle(&mut self) {
        self.next = match self.open.last() {
            Some((Place::Tools, _)) => Place::Tool,
            Some((Place::Turns, _)) => Place::Turn,
            Some((Place::Content, _)) => Place::Block,
            Some((Place::Servers, _)) => Place::Servers,
            _ => Place::Free,
        };
    }

    fn key(&mut self, key: &[u8]) -> Result<(), String> {
        let Some((place, seen)) = self.open.last_mut() else { return Ok(()) };
        // Who compares without case must not be told otherwise.
        let key = key.to_ascii_lowercase();
        let (next, bit) = match (*place, &key[..]) {
            (Place::Top, b"mcp_servers") => (Place::Servers, 1),
            (Place::Top, b"container") => (Place::Container, 2),
            (Place::Top, b"tools") => (Place::Tools, 4),
            (Place::Top, b"messages") => (Place::Turns, 8),
            (Place::Top, b"system") => (Place::Content, 16),
            (Place::Tool, b"type") => (Place::ToolType, 1),
            (Place::Turn | Place::Block | Place::Source, b"content") => (Place::Content, 2),
            (Place::Block, b"source") => (Place::Source, 4),
            (Place::Block, b"type") => (Place::BlockType, 1),
            (Place::Source, b"type") => (Place::SourceType, 1),
            _ => (Place::Free, 0),
        };
        if *seen & bit != 0 {
            return Err(format!("`{}` is there twice", String::from_utf8_lossy(&key)));
        }
        *seen |= bit;
        self.next = next;
        Ok(())
    }

    /// What an object or an array at this place is.
    fn opened(&self, event: &Event) -> Result<Place, String> {
        let object = *event == Event::Object;
        match (self.next, object) {
            (Place::Servers, false) if self.open.last().is_some_and(|(place, _)| *place == Place::Top) => {
                Ok(if self.may("mcp_servers") { Place::Free } else { Place::Servers })
            }
            (Place::Servers, _) => self.asks("mcp_servers").map(|()| Place::Free),
            (Place::Container, _) => self.asks("container").map(|()| Place::Free),
            (Place::Content, true) => Ok(Place::Block),
            (Place::Top | Place::Tool | Place::Turn | Place::Block | Place::Source, true) => Ok(self.next),
            (Place::Tools | Place::Turns | Place::Content, false) | (Place::Free, _) => Ok(self.next),
            _ => Err(self.misshapen()),
        }
    }

    /// A value that is neither.
    fn value(&self, event: &Event) -> Result<(), String> {
        match (self.next, event) {
            // An element of what may only be empty.
            (Place::Servers, Event::Null) if self.open.last().is_some_and(|(place, _)| *place == Place::Servers) => {
                self.asks("mcp_servers")
            }
            (Place::Free, _) => Ok(()),
            (Place::Top | Place::Turn, _) => Err(self.misshapen()),
            (_, Event::Null) => Ok(()),
            (Place::Servers, _) => self.asks("mcp_servers"),
            (Place::Container, _) => self.asks("container"),
            (Place::ToolType, Event::Text(kind)) => self.tool(kind),
            (Place::SourceType, Event::Text(kind)) => {
                if SOURCES.contains(kind) {
                    Ok(())
                } else {
                    self.asks(&String::from_utf8_lossy(kind))
                }
            }
            (Place::BlockType, Event::Text(kind)) => {
                if *kind == b"container_upload" {
                    self.asks("container")
                } else {
                    Ok(())
                }
            }
            (Place::Content | Place::Block | Place::Source, Event::Text(_)) => Ok(()),
            _ => Err(self.misshapen()),
        }
    }

    fn tool(&self, kind: &[u8]) -> Result<(), String> {
        let kind = String::from_utf8_lossy(kind);
        if kind == "custom" || TOOLS.iter().any(|known| kind.starts_with(known)) { Ok(()) } else { self.asks(&kind) }
    }

    /// The route names it, or the beginning of it.
    fn may(&self, what: &str) -> bool {
        self.allowed.iter().any(|allowed| what.starts_with(allowed.as_str()))
    }

    fn asks(&self, what: &str) -> Result<(), String> {
        if self.may(what) {
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
