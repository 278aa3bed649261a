//! Looks in a form, as it streams, for a field by which a framework takes another method than the request's (`_method`). Such a
//! method must pass as the request itself does.

use crate::egress::as_judged::{fields, judged};
use crate::egress::inspect::headers::encodings;
use crate::egress::limits::MAX_FORM_FIELD_BYTES;
use crate::egress::live::allowed::AllowedRequest;
use crate::egress::peer::Peer;
use hyper::header::CONTENT_TYPE;
use hyper::http::request;
use hyper::{HeaderMap, Request};
use policy::{Denial, Reason, is_method_parameter, overriding_methods};
use scan::codec::Decoder;
use std::collections::BTreeSet;

/// How a form is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FormKind {
    UrlEncoded,
    /// A line that begins with two dashes and this begins a part. Empty where servers may read it in several ways.
    Multipart {
        boundary: String,
    },
}

/// Where in a multipart form the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// In the header of a part. `is_method`: a framework takes the method from it.
    Header {
        is_method: bool,
    },
    /// Before the first line of such a part.
    Method,
    Content,
}

/// The fields of a form, one after the other.
struct FormReader {
    kind: FormKind,
    part: Part,
    /// The pair or line under way; what is longer than [`MAX_FORM_FIELD_BYTES`] is cut off.
    field: Vec<u8>,
}

/// The form in the body of one request.
pub struct FormWatch {
    /// One for each kind that a server may take the body for.
    readers: Vec<FormReader>,
    /// The methods that were asked for and pass, so that each is judged once: a form has room for a million of them.
    passing: BTreeSet<String>,
    peer: Peer,
    request: Request<()>,
    allowed: AllowedRequest,
}

impl FormWatch {
    /// `None`: the body of this request is no form, or its route has a rule of its own. A compressed form is refused, because
    /// servers differ in whether they unpack it.
    pub fn new(allowed: &AllowedRequest, peer: Peer, head: &request::Parts) -> Result<Option<FormWatch>, Denial> {
        let kinds = FormKind::all_in(&head.headers);
        if kinds.is_empty() || allowed.rule().role.is_some() {
            return Ok(None);
        }
        if !Decoder::new(&encodings(&head.headers)).is_some_and(|decoder| decoder.is_identity()) {
            let text =
                "a compressed form is not read, and could ask for another method; send it without content-encoding";
            return Err(Denial::new(Reason::Malformed, text));
        }
        let reader = |kind| FormReader { kind, part: Part::Content, field: Vec::new() };
        let readers = kinds.into_iter().map(reader).collect();
        let request = Request::from_parts(head.clone(), ());
        Ok(Some(FormWatch { readers, passing: BTreeSet::new(), peer, request, allowed: allowed.clone() }))
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Denial> {
        let methods: Vec<String> = self.readers.iter_mut().flat_map(|reader| reader.push(bytes)).collect();
        self.check(methods)
    }

    /// The form is complete.
    pub fn finish(&mut self) -> Result<(), Denial> {
        let methods: Vec<String> = self.readers.iter_mut().flat_map(FormReader::end_field).collect();
        self.check(methods)
    }

    fn check(&mut self, methods: Vec<String>) -> Result<(), Denial> {
        for method in methods {
            if !self.passing.contains(&method) {
                let fields = fields(self.request.headers());
                let request = judged(&self.peer, &self.request, true, &fields);
                self.allowed.snapshot.policy.check_override(&self.allowed, &request, &method)?;
                self.passing.insert(method);
            }
        }
        Ok(())
    }
}

impl FormKind {
    /// The kinds that some server may read in the content type, wherever they stand in it.
    fn all_in(headers: &HeaderMap) -> Vec<FormKind> {
        headers
            .get_all(CONTENT_TYPE)
            .iter()
            .flat_map(|value| FormKind::all_of(&String::from_utf8_lossy(value.as_bytes())))
            .collect()
    }

    fn all_of(content_type: &str) -> Vec<FormKind> {
        let lower = content_type.to_ascii_lowercase();
        let mut kinds = Vec::new();
        if lower.contains("x-www-form-urlencoded") {
            kinds.push(FormKind::UrlEncoded);
        }
        if lower.contains("multipart/") {
            let only = lower.matches("boundary").count() == 1;
            let parameters = content_type.split(';').filter_map(|parameter| parameter.trim().split_once('='));
            let mut boundaries = parameters.filter(|(name, _)| only && name.eq_ignore_ascii_case("boundary"));
            let boundary = boundaries.next().map_or("", |(_, value)| value.trim_matches('"'));
            // Servers differ in where a boundary with any other character ends.
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_-./:=?".contains(&byte);
            let boundary = if boundary.bytes().all(plain) { boundary } else { "" };
            kinds.push(FormKind::Multipart { boundary: boundary.to_owned() });
        }
        kinds
    }

    fn ends_field(&self, byte: u8) -> bool {
        match self {
            FormKind::UrlEncoded => matches!(byte, b'&' | b';'),
            FormKind::Multipart { .. } => byte == b'\n',
        }
    }
}

impl FormReader {
    /// The methods that fields ask for which end in `bytes`.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut methods = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| self.kind.ends_field(*byte)) {
            self.keep(&rest[..end]);
            methods.extend(self.end_field());
            rest = &rest[end + 1..];
        }
        self.keep(rest);
        methods
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_FORM_FIELD_BYTES - self.field.len();
        self.field.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The methods that the field under way asks for, which ends here.
    fn end_field(&mut self) -> Vec<String> {
        let field = std::mem::take(&mut self.field);
        let (text, is_cut) = (String::from_utf8_lossy(&field), field.len() == MAX_FORM_FIELD_BYTES);
        match &self.kind {
            // What was cut off is no method.
            FormKind::UrlEncoded if is_cut => overriding_methods(&format!("{text}=?")).into_iter().collect(),
            FormKind::UrlEncoded => overriding_methods(&text).into_iter().collect(),
            FormKind::Multipart { boundary } => {
                let begins_part = text.strip_prefix("--").is_some_and(|rest| rest.starts_with(boundary));
                self.part = match self.part {
                    _ if begins_part => Part::Header { is_method: false },
                    part => return self.end_line(part, text.trim(), is_cut).into_iter().collect(),
                };
                Vec::new()
            }
        }
    }

    /// The method that this line of a multipart form asks for. A header that was cut off could have had any name.
    fn end_line(&mut self, part: Part, line: &str, is_cut: bool) -> Option<String> {
        self.part = match part {
            Part::Header { is_method: true } if line.is_empty() => Part::Method,
            Part::Header { is_method: false } if line.is_empty() => Part::Content,
            Part::Header { is_method } => {
                Part::Header { is_method: is_method || is_cut || names(line).any(is_method_name) }
            }
            Part::Method | Part::Content => Part::Content,
        };
        (part == Part::Method && !line.is_empty()).then(|| line.to_ascii_uppercase())
    }
}

/// The values of the parameters `name` and `name*` of a part's header.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split(';').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let name = name.trim().trim_end_matches(|character: char| character == '*' || character.is_ascii_digit());
        name.eq_ignore_ascii_case("name").then_some(value)
    })
}

/// `value`: with quotes, or as RFC 8187 writes it.
fn is_method_name(value: &str) -> bool {
    let plain = value.trim().trim_matches('"');
    let decoded = plain.rsplit('\'').next().unwrap_or_default();
    is_method_parameter(plain) || !overriding_methods(&format!("{decoded}=x")).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a form of these bytes, whole and byte by byte.
    fn found(kind: FormKind, form: &str) -> Vec<String> {
        let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut reader = FormReader { kind: kind.clone(), part: Part::Content, field: Vec::new() };
            let mut methods: Vec<String> = pieces.flat_map(|piece| reader.push(piece)).collect();
            methods.extend(reader.end_field());
            methods
        };
        let whole = read(&mut [form.as_bytes()].into_iter());
        assert_eq!(read(&mut form.as_bytes().chunks(1)), whole, "{form}");
        whole
    }

    #[test]
    fn a_field_of_a_form_asks_for_a_method() {
        let found = |form: &str| found(FormKind::UrlEncoded, form);
        let long = "x".repeat(2 * MAX_FORM_FIELD_BYTES);
        assert_eq!(found("a=1&_method=DELETE&b=2"), ["DELETE"]);
        assert_eq!(found("a=1;%5Fmethod=%44ELETE"), ["DELETE"]);
        assert_eq!(found(&format!("a={long}&_method=PUT")), ["PUT"]);
        assert_eq!(found(&format!("_method[{long}]=PUT")), ["?"]);
        assert_eq!(found("method=DELETE&a=_method&x_methods=y"), [""; 0]);
    }

    #[test]
    fn a_part_of_a_form_asks_for_a_method() {
        let found = |form: &str| found(FormKind::Multipart { boundary: "b".to_owned() }, form);
        let part =
            |head: &str, content: &str| format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n{content}\r\n");
        let end = "--b--\r\n";
        for head in [
            "name=\"_method\"",
            "name=_method",
            "filename=x; NAME=\"_method\"",
            "name*=UTF-8''%5Fmethod",
            "\r\n name=\"_method\"",
            "name=\"_method\"\r\ncontent-type: text/plain",
            &format!("x={}; name=\"_method\"", "x".repeat(MAX_FORM_FIELD_BYTES)),
        ] {
            assert_eq!(found(&(part("name=\"a\"", "1") + &part(head, "DELETE") + end)), ["DELETE"], "{head}");
        }
        let other = part("name=\"a\"; filename=\"_method\"", "-- name=\"_method\"\r\nname=\"_method\"\r\n\r\nDELETE");
        assert_eq!(found(&(other + end)), [""; 0]);
    }

    #[test]
    fn a_boundary_that_servers_could_read_in_two_ways_is_any() {
        for (kind, boundary) in [
            ("multipart/form-data; boundary=b", Some("b")),
            ("Multipart/Form-Data;Boundary=\"b\"; charset=utf-8", Some("b")),
            ("multipart/form-data; boundary=b; boundary=c", Some("")),
            ("multipart/form-data; boundary*=UTF-8''b", Some("")),
            ("multipart/form-data", Some("")),
            ("multipart/form-data; boundary=b, text/plain", Some("")),
            ("text/plain, multipart/form-data; boundary=b", Some("b")),
            ("text/plain; boundary=b", None),
        ] {
            let wanted = boundary.map(|boundary| FormKind::Multipart { boundary: boundary.to_owned() });
            assert_eq!(FormKind::all_of(kind), Vec::from_iter(wanted), "{kind}");
        }
        let both = "multipart/form-data; x=\"Application/X-WWW-Form-Urlencoded\"; boundary=b";
        let multipart = FormKind::Multipart { boundary: "b".to_owned() };
        assert_eq!(FormKind::all_of(both), [FormKind::UrlEncoded, multipart]);
    }
}
