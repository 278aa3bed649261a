//! A request to the model. Its last part is held back until the whole body was read, so that the upstream never gets a
//! complete body that was denied.

use crate::egress::live::allowed::AllowedRequest;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, HeaderValue};
use hyper::http::request;
use policy::{Denial, Reason};
use scan::messages::{Messages, check_betas};

/// The header that switches features of the Messages API on.
const BETAS: &str = "anthropic-beta";

pub struct ModelRequest {
    messages: Messages,
    held: Bytes,
}

impl ModelRequest {
    pub fn new(allowed: &AllowedRequest, head: &request::Parts) -> Result<ModelRequest, Denial> {
        if head.headers.contains_key(CONTENT_ENCODING) {
            return Err(denial("a compressed request to the model is not read".to_owned()));
        }
        let tools = &allowed.rule().server_tools;
        let betas = head.headers.get_all(BETAS).iter().map(HeaderValue::as_bytes);
        check_betas(betas, tools).map_err(denial)?;
        Ok(ModelRequest::allowing(tools))
    }

    /// `tools`: names of the server tools that a request may use.
    fn allowing(tools: &[String]) -> ModelRequest {
        ModelRequest { messages: Messages::new(tools), held: Bytes::new() }
    }

    /// Returns what may leave.
    pub fn push(&mut self, bytes: Bytes) -> Result<Bytes, Denial> {
        self.messages.push(&bytes).map_err(denial)?;
        Ok(if bytes.is_empty() { bytes } else { std::mem::replace(&mut self.held, bytes) })
    }

    /// The body is complete: returns what was held back.
    pub fn finish(&mut self) -> Result<Bytes, Denial> {
        self.messages.finish().map_err(denial)?;
        Ok(std::mem::take(&mut self.held))
    }
}

fn denial(why: String) -> Denial {
    Denial::new(Reason::Model, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What left, and whether all of it may.
    fn send(text: &str, cuts: &[usize]) -> (Vec<u8>, bool) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut % (text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let (mut model, mut left) = (ModelRequest::allowing(&[]), Vec::new());
        for pair in cuts.windows(2) {
            match model.push(Bytes::copy_from_slice(&text.as_bytes()[pair[0]..pair[1]])) {
                Ok(bytes) => left.extend_from_slice(&bytes),
                Err(_) => return (left, false),
            }
        }
        match model.finish() {
            Ok(bytes) => left.extend_from_slice(&bytes),
            Err(_) => return (left, false),
        }
        (left, true)
    }

    /// Bodies, most of them nearly right: some are refused, and some end where they should not.
    fn body() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            Just("[]".to_owned()),
            Just("null".to_owned()),
            Just("[{\"type\":\"web_fetch_1\"}]".to_owned()),
            Just("[{\"type\":\"custom\",\"name\":\"\u{e9}\"}]".to_owned()),
            Just("[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"url\"}}]}]".to_owned()),
            Just("[{\"role\":\"user\",\"content\":\"a\\u0020b\"}]".to_owned()),
        ];
        let key = prop_oneof![
            Just("tools"),
            Just("messages"),
            Just("mcp_servers"),
            Just("\\u006dcp_servers"),
            Just("container"),
            Just("model"),
        ];
        let end = prop_oneof![Just("}"), Just("} "), Just("}\n{}"), Just(""), Just("}]"), Just(",}")];
        (proptest::collection::vec((key, value), 0..4), end).prop_map(|(members, end)| {
            let members: Vec<String> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}{end}", members.join(","))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_was_refused_never_leaves_whole(text in body(), cuts in proptest::collection::vec(0usize..500, 0..6)) {
            let (left, passes) = send(&text, &cuts);
            prop_assert_eq!(passes, send(&text, &[]).1, "{}", text);
            if passes {
                prop_assert_eq!(left, text.as_bytes());
            } else if let Ok(whole) = std::str::from_utf8(&left)
                && serde_json::from_str::<serde_json::Value>(whole).is_ok()
            {
                // It was all right until something followed it.
                prop_assert!(send(whole, &[]).1, "{} of {}", whole, text);
                prop_assert!(whole.len() < text.len());
            }
        }
    }
}
