//! What a request to the model may ask of the model's own servers: they stand outside the bottle's allowlist, and what
//! they fetch, run or call is fetched, run or called with the gate's credential. Web search is allowed; anything else only
//! by name. What is not known here may be such a thing: it is refused, too.
//!
//! The body is read as it streams; the gate keeps its last part back until all of it was read.

mod betas;
mod json;
mod usage;

pub use betas::check_betas;
pub use json::{Event, Json, Limits};
pub use usage::{Framing, UsageReader};

/// Where in a request a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Top,
    Servers,
    Container,
    Betas,
    Fallbacks,
    Fallback,
    Tools,
    Tool,
    ToolType,
    Turns,
    Turn,
    Content,
    Block,
    BlockType,
    /// What a block adds to the tools, or takes off them.
    ToolChange,
    ChangeType,
    Source,
    SourceType,
    /// Where no server acts on it.
    Free,
}

/// Keys of a request of which nothing can be said but what the model reads and writes.
const TOP_KEYS: [&str; 20] = [
    "cache_control",
    "context_hint",
    "context_management",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "safeguards",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "temperature",
    "thinking",
    "tool_choice",
    "top_k",
    "top_p",
];
/// Keys of a message, beside its content.
const TURN_KEYS: [&str; 5] = ["cache_control", "clear_at", "output_config", "role", "timing"];
/// Kinds of blocks that hold text, pictures, and what was done before.
const BLOCKS: [&str; 18] = [
    "compaction",
    "connector_text",
    "document",
    "fallback",
    "image",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
    "text",
    "thinking",
    "tool_addition",
    "tool_reference",
    "tool_removal",
    "tool_result",
    "tool_use",
    "web_search_result",
    "web_search_tool_result",
    "web_search_tool_result_error",
];
/// Kinds of changes of the tools: by name, or with a definition, which is read as a tool is.
const CHANGES: [&str; 2] = ["tool_definition", "tool_reference"];
/// What stands before the date in types of tools that run in the bottle, and in that of web search.
const LOCAL_TOOLS: [&str; 5] = ["bash_", "text_editor_", "computer_", "memory_", "web_search_"];
/// Types of sources that are in the request itself, and the keys of these.
const INLINE_SOURCES: [&str; 3] = ["base64", "content", "text"];
const INLINE_SOURCE_KEYS: [&str; 2] = ["data", "media_type"];

/// Reads one body.
pub struct Messages {
    json: Json,
    check: ServerToolsCheck,
}

/// What was read, and what is allowed.
struct ServerToolsCheck {
    /// Objects and arrays that are open: what each is, and a bit for each position that one of its keys led to.
    open: Vec<(Position, u32)>,
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

/// Does the route name it, or the beginning of it? `server_tools` has no hyphens: in it, each is `_`.
fn is_named(allowed: &[String], what: &str) -> bool {
    let what = what.replace('-', "_");
    allowed.iter().any(|allowed| what.starts_with(allowed.as_str()))
}

fn unnamed(what: &str) -> String {
    let what: String = what.chars().take(64).filter(|c| c.is_ascii_graphic()).collect();
    let name = what.replace('-', "_");
    format!(
        "`{what}` could make the model's servers act outside this bottle; a route allows it by `{name}` in `server_tools`"
    )
}

impl ServerToolsCheck {
    fn read(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::End => {
                self.check_has_type()?;
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
            Event::Text(_) | Event::Null | Event::Scalar(_) => {
                self.value(&event)?;
                self.expect_element();
                Ok(())
            }
        }
    }

    /// The object that ends says what it is, where that decides what its other keys mean.
    fn check_has_type(&self) -> Result<(), String> {
        let wanted = match self.open.last() {
            Some((Position::Block, seen)) => seen & bit(Position::BlockType),
            Some((Position::Source, seen)) => seen & bit(Position::SourceType),
            _ => return Ok(()),
        };
        if wanted == 0 { Err(self.misshapen()) } else { Ok(()) }
    }

    /// Sets where the next element of an open array stands; in an object, its key says that.
    fn expect_element(&mut self) {
        self.next = match self.open.last() {
            Some((Position::Tools, _)) => Position::Tool,
            Some((Position::Turns, _)) => Position::Turn,
            Some((Position::Content, _)) => Position::Block,
            Some((Position::Fallbacks, _)) => Position::Fallback,
            Some((Position::Servers, _)) => Position::Servers,
            Some((Position::Betas, _)) => Position::Betas,
            _ => Position::Free,
        };
    }

    fn key(&mut self, key: &[u8]) -> Result<(), String> {
        let Some((position, seen)) = self.open.last().copied() else { return Ok(()) };
        // A server that compares keys without case must not read another request.
        let key = String::from_utf8_lossy(key).to_ascii_lowercase();
        let next = match position_of(position, &key) {
            Some(next) => next,
            None => self.require(&key).map(|()| Position::Free)?,
        };
        if next != Position::Free && seen & bit(next) != 0 {
            return Err(format!("`{key}` is there twice"));
        }
        if let Some((_, seen)) = self.open.last_mut() {
            *seen |= bit(next);
        }
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
            (
                Position::Top
                | Position::Tool
                | Position::Turn
                | Position::Block
                | Position::ToolChange
                | Position::Fallback
                | Position::Source,
                true,
            ) => Ok(self.next),
            (Position::Betas, false) if self.open.last().is_some_and(|(position, _)| *position == Position::Top) => {
                Ok(self.next)
            }
            (Position::Tools | Position::Turns | Position::Content | Position::Fallbacks, false)
            | (Position::Free, _) => Ok(self.next),
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
            (Position::Top | Position::Turn | Position::BlockType | Position::SourceType, Event::Null)
            | (Position::Top | Position::Turn, _) => Err(self.misshapen()),
            (_, Event::Null) => Ok(()),
            (Position::Servers, _) => self.require("mcp_servers"),
            (Position::Container, _) => self.require("container"),
            (Position::ToolType, Event::Text(kind)) => self.require_tool(&String::from_utf8_lossy(kind)),
            (Position::SourceType, Event::Text(kind)) => self.require_unless(&INLINE_SOURCES, kind),
            (Position::BlockType, Event::Text(kind)) => self.require_block(&String::from_utf8_lossy(kind)),
            (Position::ChangeType, Event::Text(kind)) => self.require_unless(&CHANGES, kind),
            (Position::Betas, Event::Text(beta)) => check_betas([*beta], &self.allowed),
            // Anthropic's own choice of a model.
            (Position::Fallbacks, Event::Text(b"default"))
            | (Position::Content | Position::Block | Position::Source, Event::Text(_)) => Ok(()),
            _ => Err(self.misshapen()),
        }
    }

    fn require_unless(&self, known: &[&str], kind: &[u8]) -> Result<(), String> {
        let kind = String::from_utf8_lossy(kind);
        if known.contains(&&*kind) { Ok(()) } else { self.require(&kind) }
    }

    fn require_tool(&self, kind: &str) -> Result<(), String> {
        let is_date = |rest: &str| rest.len() == 8 && rest.bytes().all(|byte| byte.is_ascii_digit());
        let is_local = LOCAL_TOOLS.iter().any(|known| kind.strip_prefix(known).is_some_and(is_date));
        if kind == "custom" || is_local { Ok(()) } else { self.require(kind) }
    }

    /// A block with what a tool said has the tool's name in its own.
    fn require_block(&self, kind: &str) -> Result<(), String> {
        let of_servers = kind.starts_with("mcp_") && self.is_allowed("mcp_servers");
        let of_container = kind == "container_upload" && self.is_allowed("container");
        let of_tool = self.allowed.iter().any(|allowed| kind.contains(allowed.as_str()));
        if BLOCKS.contains(&kind) || of_servers || of_container || of_tool { Ok(()) } else { self.require(kind) }
    }

    fn is_allowed(&self, what: &str) -> bool {
        is_named(&self.allowed, what)
    }

    fn require(&self, what: &str) -> Result<(), String> {
        if self.is_allowed(what) { Ok(()) } else { Err(unnamed(what)) }
    }

    fn misshapen(&self) -> String {
        "it is not a request to the Messages API".to_owned()
    }
}

fn bit(position: Position) -> u32 {
    1 << position as u32
}

/// Where the value of a key stands; `None`: a key that is not known there.
fn position_of(within: Position, key: &str) -> Option<Position> {
    Some(match (within, key) {
        (Position::Top, "mcp_servers") => Position::Servers,
        (Position::Top, "container") => Position::Container,
        (Position::Top, "betas" | "anthropic_beta") => Position::Betas,
        (Position::Top, "fallbacks") => Position::Fallbacks,
        (Position::Top, "messages") => Position::Turns,
        (Position::Top, "system") => Position::Content,
        (Position::Top | Position::Block, "tools") => Position::Tools,
        (Position::Top, key) if TOP_KEYS.contains(&key) => Position::Free,
        (Position::Turn | Position::Block | Position::Source, "content") => Position::Content,
        (Position::Turn, key) if TURN_KEYS.contains(&key) => Position::Free,
        (Position::Block, "type") => Position::BlockType,
        (Position::Block, "source") => Position::Source,
        (Position::Block, "tool") => Position::ToolChange,
        (Position::ToolChange, "type") => Position::ChangeType,
        (Position::Block | Position::ToolChange, "definition") => Position::Tool,
        (Position::Source, "type") => Position::SourceType,
        (Position::Source, key) if INLINE_SOURCE_KEYS.contains(&key) => Position::Free,
        (Position::Fallback, "model") => Position::Free,
        (Position::Tool, "type") => Position::ToolType,
        (Position::Top | Position::Turn | Position::Source | Position::Fallback, _) => return None,
        _ => Position::Free,
    })
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
        // What is not known here.
        (r#"{"model":"m","fetch":["https://x.example.org"]}"#, "fetch"),
        (r#"{"messages":[],"thread":{"id":"t"}}"#, "thread"),
        (r#"{"Workspace_Files":null}"#, "workspace_files"),
        (r#"{"messages":[{"role":"user","content":"x","tools":[]}]}"#, "tools"),
        (r#"{"messages":[{"content":[{"type":"remote_document","id":"x"}]}]}"#, "remote_document"),
        (r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"fetched"}]}]}]}"#, "fetched"),
        (r#"{"messages":[{"content":[{"type":"image","source":{"url":"https://x","type":"base64"}}]}]}"#, "url"),
        (r#"{"messages":[{"content":[{"type":"image","source":{"type":"text","file_id":"f"}}]}]}"#, "file"),
        (r#"{"betas":["mcp-client-2025-11-20"]}"#, "mcp_client"),
        (r#"{"betas":["claude-code-20250219","new-thing-2027-01-01"]}"#, "new_thing"),
        (r#"{"anthropic_beta":["code-execution-2025-08-25"]}"#, "code_execution"),
        (r#"{"fallbacks":[{"model":"m","tools":[{"type":"web_fetch_20250910"}]}]}"#, "tools"),
        (r#"{"tools":[{"type":"bash_code_execution_20250825","name":"x"}]}"#, "bash_code_execution"),
        (r#"{"tools":[{"type":"memory_store_20270101","name":"x"}]}"#, "memory_store"),
        // A tool that a message adds.
        (
            r#"{"messages":[{"role":"system","content":[{"type":"tool_addition","tool":{"type":"tool_definition",
                "definition":{"name":"f","type":"web_fetch_20250910"}}}]}]}"#,
            "web_fetch",
        ),
        (
            r#"{"messages":[{"content":[{"type":"tool_addition","tool":{"type":"server_tool","name":"x"}}]}]}"#,
            "server_",
        ),
        (r#"{"messages":[{"content":[{"type":"mcp_tool_use","id":"x"}]}]}"#, "mcp_servers"),
        (r#"{"messages":[{"content":[{"type":"bash_code_execution_tool_result"}]}]}"#, "code_execution"),
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
        (
            r#"{"messages":[{"content":[{"type":"tool_result","content":[{"type":"image","source":{"type":"url"}}]}]}]}"#,
            "url",
        ),
        (
            r#"{"messages":[{"content":[{"type":"document","source":{"type":"content","content":[
                {"type":"image","source":{"type":"url"}}]}}]}]}"#,
            "url",
        ),
        (r#"{"system":[{"type":"document","source":{"type":"url"}}]}"#, "url"),
        (r#"{"messages":[{"content":[{"type":"container_upload","file_id":"f"}]}]}"#, "container"),
        (r#"{"messages":[{"content":{"type":"image","source":{"type":"url"}}}]}"#, "url"),
    ];

    #[test]
    fn what_makes_the_models_servers_act_is_refused_unless_it_is_named() {
        for (body, name) in ASKS {
            let why = judge(&[], body).unwrap_err();
            assert!(why.contains("in `server_tools`"), "{body}: {why}");
            assert_eq!(judge(&["other", name], body), Ok(()), "{body}");
        }
    }

    #[test]
    fn what_a_session_says_passes() {
        for body in [
            r#"{"model":"m","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"mcp_servers container"}]}"#,
            r#"{"mcp_servers":[],"container":null,"tools":null,"betas":null,"messages":[]}"#,
            r#"{"betas":["interleaved-thinking-2025-05-14","context-1m-2025-08-07"],"fallbacks":"default","messages":[]}"#,
            r#"{"fallbacks":[{"model":"m"}],"messages":[{"role":"system","clear_at":"next_user_message","content":[
                {"type":"tool_removal","tool":{"type":"tool_reference","name":"a"}},
                {"type":"tool_addition","tool":{"type":"tool_definition","definition":{"name":"a","input_schema":{}}}}]}]}"#,
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
            "{\"messages\":[{\"content\":[{\"type\":\"image\",\"source\":{\"url\":\"https://x\"}}]}]}",
            "{\"messages\":[{\"content\":[{\"text\":\"no type\"}]}]}",
            "{\"messages\":[{\"content\":[{\"type\":null}]}]}",
            "{\"messages\":[{\"content\":[{\"type\":\"image\",\"source\":{\"data\":\"\"}}]}]}",
            "{\"messages\":[{\"content\":[{\"type\":\"image\",\"source\":{\"type\":null}}]}]}",
            "{\"betas\":\"mcp-client-2025-11-20\"} x",
            "{\"betas\":[[\"a\"]]}",
            "{\"fallbacks\":\"web\"}",
            "{\"a\":1",
            "{\"a\":1} // x",
        ] {
            assert!(judge(&[], body).is_err(), "{body}");
        }
    }
}
