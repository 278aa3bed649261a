//! The tokens that an answer of the model's says were used, read as it streams by: a message, or the events of one. What is
//! neither, and what an answer's texts say, counts nothing.

use super::{Event, Json};
use wire::TokenUsage;

/// How an answer carries its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value.
    Json,
    /// `text/event-stream`: a JSON value in each event. Lines that end with a carriage return alone are not told apart.
    Events,
}

/// Reads one answer.
#[derive(Debug)]
pub struct UsageReader {
    framing: Framing,
    line: LinePart,
    /// `None`: the rest of the value, or of the event, is not read.
    json: Option<Json>,
    counts: Counts,
}

/// Where in a line of a stream of events the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinePart {
    /// So many bytes of [`DATA`] were read.
    Field(usize),
    Data,
    /// A line of no interest.
    Other,
}

/// The field of an event that holds its value.
const DATA: &[u8] = b"data:";

/// What the objects that are open are to the message, and what was counted.
#[derive(Debug, Default)]
struct Counts {
    /// The key whose value comes next or is open, for each object or array.
    open: Vec<Key>,
    /// Later events say the sums again, with what was added.
    input: u64,
    written: u64,
    cached: u64,
    output: u64,
    is_told: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Key {
    Message,
    Usage,
    Input,
    Written,
    Cached,
    Output,
    #[default]
    Other,
}

impl UsageReader {
    pub fn new(framing: Framing) -> UsageReader {
        UsageReader { framing, line: LinePart::Field(0), json: Some(Json::default()), counts: Counts::default() }
    }

    /// Reads more of the answer, decoded.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.framing {
            Framing::Json => self.read(bytes),
            Framing::Events => {
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    self.read_line(line);
                }
            }
        }
    }

    /// What was told so far; `None` where nothing was.
    pub fn usage(&self) -> Option<TokenUsage> {
        let Counts { input, written, cached, output, is_told, .. } = self.counts;
        is_told.then(|| TokenUsage { input: input.saturating_add(written), cached, output })
    }

    /// A part of a line, at most with its end.
    fn read_line(&mut self, part: &[u8]) {
        let (mut rest, is_end) = match part.split_last() {
            Some((b'\n', text)) => (text, true),
            _ => (part, false),
        };
        while let (LinePart::Field(count), Some((byte, after))) = (self.line, rest.split_first()) {
            rest = after;
            self.line = match byte {
                b'\r' if count == 0 => LinePart::Field(0),
                byte if DATA[count] != *byte => LinePart::Other,
                _ if count + 1 == DATA.len() => LinePart::Data,
                _ => LinePart::Field(count + 1),
            };
        }
        if self.line == LinePart::Data {
            self.read(rest);
        }
        if is_end {
            // An empty line ends the event.
            if self.line == LinePart::Field(0) {
                self.json = Some(Json::default());
                self.counts.open.clear();
            }
            self.line = LinePart::Field(0);
        }
    }

    fn read(&mut self, bytes: &[u8]) {
        let Some(json) = &mut self.json else { return };
        let counts = &mut self.counts;
        let read = json.push(bytes, |event| {
            counts.read(event);
            Ok(())
        });
        if read.is_err() {
            self.json = None;
        }
    }
}

impl Counts {
    fn read(&mut self, event: Event) {
        match event {
            Event::Object | Event::Array => self.open.push(Key::Other),
            Event::End => drop(self.open.pop()),
            Event::Key(key) => {
                let key = match key {
                    b"message" => Key::Message,
                    b"usage" => Key::Usage,
                    b"input_tokens" => Key::Input,
                    b"cache_creation_input_tokens" => Key::Written,
                    b"cache_read_input_tokens" => Key::Cached,
                    b"output_tokens" => Key::Output,
                    _ => Key::Other,
                };
                if let Some(last) = self.open.last_mut() {
                    *last = key;
                }
            }
            Event::Scalar(number) => {
                let ([Key::Usage, key] | [Key::Message, Key::Usage, key]) = self.open[..] else { return };
                let counter = match key {
                    Key::Input => &mut self.input,
                    Key::Written => &mut self.written,
                    Key::Cached => &mut self.cached,
                    Key::Output => &mut self.output,
                    Key::Message | Key::Usage | Key::Other => return,
                };
                if let Some(number) = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok()) {
                    (*counter, self.is_told) = (number, true);
                }
            }
            Event::Text(_) | Event::Null => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = concat!(
        "event: message_start\r\n",
        r#"data: {"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":12,"#,
        r#""cache_creation_input_tokens":300,"cache_read_input_tokens":4000,"#,
        r#""cache_creation":{"ephemeral_1h_input_tokens":300,"input_tokens":9},"output_tokens":1}}}"#,
        "\r\n\r\n",
        ": a comment\n\nevent: content_block_delta\n",
        r#"data: {"type":"content_block_delta","delta":{"text":"\"usage\":{\"output_tokens\":7}","usage":{"output_tokens":8}}}"#,
        "\n\nevent: x\ndata: not JSON {\n\n",
        "event: message_delta\r\n",
        r#"data:{"type":"message_delta","delta":{"stop_reason":"end_turn"},"#,
        "\r\ndata: ",
        r#""usage":{"output_tokens":55,"cache_read_input_tokens":null}}"#,
        "\n\n",
    );

    fn read(framing: Framing, text: &str, part: usize) -> Option<TokenUsage> {
        let mut reader = UsageReader::new(framing);
        text.as_bytes().chunks(part).for_each(|part| reader.push(part));
        reader.usage()
    }

    #[test]
    fn the_tokens_of_a_stream_are_its_messages_however_it_is_split() {
        let told = Some(TokenUsage { input: 312, cached: 4000, output: 55 });
        for part in 1..=STREAM.len() {
            assert_eq!(read(Framing::Events, STREAM, part), told, "{part}");
        }
        // A message that breaks off has used what it said until then.
        let begun = STREAM.find("\r\n\r\n").unwrap();
        let told = Some(TokenUsage { input: 312, cached: 4000, output: 1 });
        assert_eq!(read(Framing::Events, &STREAM[..begun], 5), told);
    }

    #[test]
    fn only_the_message_itself_tells_its_tokens() {
        let usage = r#"{"input_tokens":3,"output_tokens":4}"#;
        let told = Some(TokenUsage { input: 3, cached: 0, output: 4 });
        for (text, told) in [
            (format!(r#"{{"content":[{{"text":"x"}}],"usage":{usage}}}"#), told),
            (format!(r#"{{"message":{{"usage":{usage}}}}}"#), told),
            // What the model calls a tool with is the agent's, or the model's own.
            (format!(r#"{{"content":[{{"type":"tool_use","input":{{"usage":{usage}}}}}]}}"#), None),
            (format!(r#"{{"message":{{"content":[{{"usage":{usage}}}]}}}}"#), None),
            (format!(r#"{{"message":[{{"usage":{usage}}}]}}"#), None),
            (format!(r#"[{{"usage":{usage}}}]"#), None),
            (r#"{"usage":{"input_tokens":-3,"output_tokens":1e9,"cache_read_input_tokens":"7"}}"#.to_owned(), None),
            (r#"{"usage":{"input_tokens":99999999999999999999999}}"#.to_owned(), None),
            (r#"{"input_tokens":3}"#.to_owned(), None),
            (format!("data: {{\"usage\":{usage}}}\n\n"), None),
        ] {
            assert_eq!(read(Framing::Json, &text, 7), told, "{text}");
        }
        let texts = r#"{"usage":{"input_tokens":3}}"#;
        assert_eq!(read(Framing::Events, texts, 7), None);
    }
}
