//! What kind of text an answer is, by what the server says and by how the bytes begin. Downloads are no text.

/// Bytes that tell text from other data.
const SNIFFED_BYTES: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Html,
    /// Text without markup, or Markdown, in which there may be HTML.
    Plain,
    Json,
    /// JSON in which every description is meant for an agent: a card, or a plugin's manifest.
    Card,
    /// `text/event-stream`
    Events,
    /// The server does not say: the first bytes tell.
    Unknown,
}

impl Kind {
    /// By the header's value and the request's path. `None`: the answer is not searched.
    pub fn of(content_type: Option<&str>, path: &str) -> Option<Kind> {
        let Some(said) = content_type else { return Some(Kind::Unknown) };
        let name = said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "text/html" | "application/xhtml+xml" => Some(Kind::Html),
            "text/event-stream" => Some(Kind::Events),
            "text/css" | "text/javascript" | "text/ecmascript" => None,
            "application/json" | "text/json" => Some(if is_card(path) { Kind::Card } else { Kind::Json }),
            "application/yaml" | "application/x-yaml" | "application/toml" | "application/xml" => Some(Kind::Plain),
            "image/svg+xml" => None,
            name if name.ends_with("+json") => Some(if is_card(path) { Kind::Card } else { Kind::Json }),
            name if name.starts_with("text/") || name.ends_with("+xml") || name.ends_with("+yaml") => Some(Kind::Plain),
            _ => None,
        }
    }

    /// Decides by the first bytes as well. `None`: they are no text.
    pub fn sniffed(self, start: &[u8]) -> Option<Kind> {
        let start = &start[..start.len().min(SNIFFED_BYTES)];
        let magic: [&[u8]; 4] = [b"%PDF-", b"\x1f\x8b", b"GIF8", b"!<arch>"];
        if start.contains(&0) || magic.iter().any(|magic| start.starts_with(magic)) {
            return None;
        }
        // A character may be cut at the end.
        if let Err(error) = std::str::from_utf8(start)
            && self == Kind::Unknown
            && (error.error_len().is_some() || error.valid_up_to() + 3 < start.len())
        {
            return None;
        }
        if self != Kind::Unknown {
            return Some(self);
        }
        let text = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start).trim_ascii_start();
        let html = [&b"<!doctype html"[..], b"<html", b"<head", b"<body"];
        Some(match text.first() {
            Some(b'{' | b'[') => Kind::Json,
            _ if html.iter().any(|tag| text.get(..tag.len()).is_some_and(|text| text.eq_ignore_ascii_case(tag))) => {
                Kind::Html
            }
            _ => Kind::Plain,
        })
    }
}

fn is_card(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    path.contains("/.well-known/")
        && (name.starts_with("agent") || name.starts_with("ai-plugin") || name.starts_with("mcp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_downloads() {
        for (said, kind) in [
            ("text/html; charset=utf-8", Some(Kind::Html)),
            ("Text/Markdown", Some(Kind::Plain)),
            ("application/vnd.github+json", Some(Kind::Json)),
            ("text/event-stream", Some(Kind::Events)),
            ("application/octet-stream", None),
            ("application/gzip", None),
            ("image/png", None),
            ("text/javascript", None),
        ] {
            assert_eq!(Kind::of(Some(said), "/"), kind, "{said}");
        }
        assert_eq!(Kind::of(Some("application/json"), "/.well-known/agent-card.json"), Some(Kind::Card));
        for (start, kind) in [
            (&b"<!DOCTYPE html><p>"[..], Some(Kind::Html)),
            (b" {\"a\":1}", Some(Kind::Json)),
            (b"# Title", Some(Kind::Plain)),
            ("gr\u{fc}n".as_bytes(), Some(Kind::Plain)),
            (b"\x7fELF\x02\x01\x01\x00", None),
            (b"PK\x03\x04\xff\xfe\xfd rest", None),
        ] {
            assert_eq!(Kind::Unknown.sniffed(start), kind, "{start:?}");
        }
        // The server may be wrong, and a character cut.
        assert_eq!(Kind::Plain.sniffed(b"%PDF-1.7"), None);
        assert_eq!(Kind::Html.sniffed("gr\u{fc}".as_bytes().split_at(3).0), Some(Kind::Html));
    }
}
