//! Answers one DNS packet. Pure but for the lookup, which the caller brings.
//!
//! Invariant: a name in a [`Lookup`] is lower case, without a final dot, and made of letters, digits, `-`, `_` and `.` only,
//! so that it can be part of the line `CONNECT name:port`. No packet makes this module panic.

use super::MAX_UDP_BYTES;
use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::net::Ipv4Addr;

/// Time to live of an answer, in seconds. An address keeps its name as long as the container lives.
const TTL_SECONDS: u32 = 3600;
/// Bytes of a packet's header.
const HEADER_BYTES: usize = 12;

/// A question to the door.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// The address of this name.
    Address(&'a str),
    /// The name of this address.
    Name(Ipv4Addr),
}

/// The door's answer to a [`Lookup`].
#[derive(Debug, PartialEq, Eq)]
pub enum LookupResult {
    Address(Ipv4Addr),
    Name(String),
    /// There is no such name or address.
    NotFound,
    /// The door is full, or has no descriptor left.
    Failed,
}

/// The answer to one packet. `None` if there must be none, because the packet is too short or is itself an answer. `resolve`
/// is called at most once.
pub fn answer(packet: &[u8], resolve: impl FnOnce(Lookup<'_>) -> LookupResult) -> Option<Vec<u8>> {
    const ANSWER_BIT: u8 = 0x80;
    if packet.len() < HEADER_BYTES || packet[2] & ANSWER_BIT != 0 {
        return None;
    }
    let malformed = || {
        let id = u16::from_be_bytes([packet[0], packet[1]]);
        Message::error_msg(id, OpCode::Query, ResponseCode::FormErr).to_vec().ok()
    };
    let Ok(query) = Message::from_vec(packet) else {
        return malformed();
    };
    let mut reply = Message::new(query.metadata.id, MessageType::Response, query.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&query.metadata);
    // Go's resolver takes an empty answer without this bit for one of a lame server, and repeats the query.
    reply.metadata.recursion_available = true;
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(MAX_UDP_BYTES as u16);
        reply.set_edns(edns);
    }
    reply.metadata.response_code = match (query.metadata.op_code, query.queries.as_slice()) {
        (OpCode::Query, [question]) => {
            reply.add_query(question.clone());
            let (code, data) = resolve_question(question, resolve);
            reply.add_answers(data.map(|data| Record::from_rdata(question.name().clone(), TTL_SECONDS, data)));
            code
        }
        (OpCode::Query, _) => return malformed(),
        _ => ResponseCode::NotImp,
    };
    reply.to_vec().ok().or_else(malformed)
}

/// The response code and the data of the one record, if there is one.
fn resolve_question(
    question: &Query,
    resolve: impl FnOnce(Lookup<'_>) -> LookupResult,
) -> (ResponseCode, Option<RData>) {
    if question.query_class() != DNSClass::IN {
        return (ResponseCode::Refused, None);
    }
    let Some(name) = host_name(question.name()) else {
        let code = if question.name().is_root() { ResponseCode::NoError } else { ResponseCode::NXDomain };
        return (code, None);
    };
    let result = if name == "arpa" || name.ends_with(".arpa") {
        match (question.query_type(), address_of_reverse_name(&name)) {
            (RecordType::PTR, Some(address)) => resolve(Lookup::Name(address)),
            (RecordType::PTR, None) => LookupResult::NotFound,
            _ => return (ResponseCode::NoError, None),
        }
    } else {
        match question.query_type() {
            RecordType::A | RecordType::ANY => resolve(Lookup::Address(&name)),
            _ => return (ResponseCode::NoError, None),
        }
    };
    match result {
        LookupResult::Address(address) => (ResponseCode::NoError, Some(RData::A(A(address)))),
        LookupResult::Name(name) => match Name::from_ascii(format!("{name}.")) {
            Ok(name) => (ResponseCode::NoError, Some(RData::PTR(PTR(name)))),
            Err(_) => (ResponseCode::ServFail, None),
        },
        LookupResult::NotFound => (ResponseCode::NXDomain, None),
        LookupResult::Failed => (ResponseCode::ServFail, None),
    }
}

/// The name in the form of the module's invariant. `None` for a name that no host can have: with other bytes, without a
/// label, or an address literal.
fn host_name(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        for byte in label {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(*byte)),
                b'A'..=b'Z' => text.push(char::from(byte.to_ascii_lowercase())),
                _ => return None,
            }
        }
    }
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_host = last.bytes().any(|byte| !byte.is_ascii_digit()) && text.len() <= 253;
    is_host.then_some(text)
}

/// The address that a name below `in-addr.arpa` (RFC 1035, section 3.5) stands for. Below `ip6.arpa` only `::1` is known.
fn address_of_reverse_name(name: &str) -> Option<Ipv4Addr> {
    if let Some(nibbles) = name.strip_suffix(".ip6.arpa") {
        let is_loopback =
            nibbles.len() == 63 && nibbles.starts_with("1.0.") && nibbles[2..].split('.').all(|n| n == "0");
        return is_loopback.then_some(Ipv4Addr::LOCALHOST);
    }
    let mut octets = [0; 4];
    let mut labels = name.strip_suffix(".in-addr.arpa")?.split('.');
    for octet in octets.iter_mut().rev() {
        *octet = labels.next()?.parse().ok()?;
    }
    labels.next().is_none().then(|| octets.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.metadata.id = 7;
        message.metadata.recursion_desired = true;
        // Split by hand: the crate's own parser refuses the labels that a hostile query may hold.
        let labels = name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes);
        message.add_query(Query::query(Name::from_labels(labels).unwrap(), kind));
        message
    }

    fn ask(name: &str, kind: RecordType, result: LookupResult) -> (ResponseCode, Vec<RData>) {
        let packet = query(name, kind).to_vec().unwrap();
        let reply = Message::from_vec(&answer(&packet, |_| result).unwrap()).unwrap();
        assert_eq!(reply.metadata.id, 7);
        assert!(reply.metadata.recursion_available && reply.metadata.recursion_desired);
        assert_eq!(reply.queries.len(), 1);
        (reply.metadata.response_code, reply.answers.into_iter().map(|record| record.data).collect())
    }

    fn looked_up(name: &str, kind: RecordType) -> Option<String> {
        let packet = query(name, kind).to_vec().unwrap();
        let mut asked = None;
        answer(&packet, |lookup| {
            asked = Some(match lookup {
                Lookup::Address(name) => name.to_owned(),
                Lookup::Name(address) => address.to_string(),
            });
            LookupResult::NotFound
        });
        asked
    }

    #[test]
    fn an_address_is_answered_and_other_types_are_empty() {
        let address = Ipv4Addr::new(127, 64, 0, 9);
        let (code, data) = ask("Api.Example.ORG.", RecordType::A, LookupResult::Address(address));
        assert_eq!((code, data), (ResponseCode::NoError, vec![RData::A(A(address))]));
        for kind in
            [RecordType::AAAA, RecordType::HTTPS, RecordType::MX, RecordType::TXT, RecordType::SRV, RecordType::PTR]
        {
            assert_eq!(ask("api.example.org.", kind, LookupResult::Failed), (ResponseCode::NoError, vec![]), "{kind}");
            assert_eq!(looked_up("api.example.org.", kind), None, "{kind}");
        }
    }

    #[test]
    fn names_reach_the_door_in_one_spelling_or_not_at_all() {
        assert_eq!(looked_up("API.Example.org.", RecordType::A).as_deref(), Some("api.example.org"));
        assert_eq!(looked_up("_x.a-b.org.", RecordType::A).as_deref(), Some("_x.a-b.org"));
        assert_eq!(looked_up("single.", RecordType::A).as_deref(), Some("single"));
        for bad in ["192.0.2.1.", "1.", "a b.org.", "a\nb.org.", "a:b.org.", "\u{e4}.org.", "*.org."] {
            assert_eq!(looked_up(bad, RecordType::A), None, "{bad}");
            assert_eq!(ask(bad, RecordType::A, LookupResult::Failed).0, ResponseCode::NXDomain, "{bad}");
        }
        assert_eq!(ask(".", RecordType::A, LookupResult::Failed), (ResponseCode::NoError, vec![]));
        assert_eq!(ask("x.org.", RecordType::A, LookupResult::Failed).0, ResponseCode::ServFail);
    }

    #[test]
    fn addresses_are_named() {
        assert_eq!(looked_up("9.0.64.127.in-addr.arpa.", RecordType::PTR).as_deref(), Some("127.64.0.9"));
        let one = format!("1.{}ip6.arpa.", "0.".repeat(31));
        assert_eq!(looked_up(&one, RecordType::PTR).as_deref(), Some("127.0.0.1"));
        let name = LookupResult::Name("api.example.org".into());
        let (code, data) = ask("9.0.64.127.in-addr.arpa.", RecordType::PTR, name);
        assert_eq!(code, ResponseCode::NoError);
        assert_eq!(data, vec![RData::PTR(PTR(Name::from_ascii("api.example.org.").unwrap()))]);
        for bad in ["0.64.127.in-addr.arpa.", "9.9.0.64.127.in-addr.arpa.", "x.0.64.127.in-addr.arpa.", "ip6.arpa."] {
            assert_eq!(ask(bad, RecordType::PTR, LookupResult::Failed).0, ResponseCode::NXDomain, "{bad}");
        }
        assert_eq!(looked_up("9.0.64.127.in-addr.arpa.", RecordType::A), None);
    }

    #[test]
    fn edns_is_answered_in_kind() {
        let mut message = query("x.org.", RecordType::A);
        message.set_edns(Edns::new());
        let reply = answer(&message.to_vec().unwrap(), |_| LookupResult::Address(Ipv4Addr::LOCALHOST)).unwrap();
        assert!(Message::from_vec(&reply).unwrap().edns.is_some());
    }

    #[test]
    fn what_is_no_query_gets_silence_or_an_error() {
        let code = |packet: &[u8]| {
            let reply = answer(packet, |_| LookupResult::Failed)?;
            Some(Message::from_vec(&reply).unwrap().metadata.response_code)
        };
        let good = query("x.org.", RecordType::A).to_vec().unwrap();
        assert_eq!(code(&[]), None);
        assert_eq!(code(&good[..11]), None);
        assert_eq!(code(&good[..14]), Some(ResponseCode::FormErr));
        assert_eq!(code(&Message::query().to_vec().unwrap()), Some(ResponseCode::FormErr));
        let mut an_answer = good.clone();
        an_answer[2] |= 0x80;
        assert_eq!(code(&an_answer), None);
        let mut update = good.clone();
        update[2] = 5 << 3;
        assert!(matches!(code(&update), Some(ResponseCode::NotImp | ResponseCode::FormErr)));
        let mut two = query("x.org.", RecordType::A);
        two.add_query(Query::query(Name::from_ascii("y.org.").unwrap(), RecordType::A));
        assert_eq!(code(&two.to_vec().unwrap()), Some(ResponseCode::FormErr));
        let mut chaos = good.clone();
        *chaos.last_mut().unwrap() = 3;
        assert_eq!(code(&chaos), Some(ResponseCode::Refused));
    }

    /// Random bytes, and good queries with a few bytes changed: an answer or silence, no panic, no name out of shape.
    #[test]
    fn no_packet_makes_it_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut edns = query("www.example.org.", RecordType::A);
        edns.set_edns(Edns::new());
        let good = edns.to_vec().unwrap();
        for round in 0..200_000 {
            let mut packet = good.clone();
            if round % 2 == 0 {
                packet = (0..random() % 80).map(|_| random() as u8).collect();
                if packet.len() > 2 {
                    packet[2] &= 0x7f;
                }
            } else {
                for _ in 0..1 + random() % 4 {
                    let at = random() as usize % packet.len();
                    packet[at] = random() as u8;
                }
            }
            answer(&packet, |lookup| {
                if let Lookup::Address(name) = lookup {
                    let in_shape = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
                    assert!(!name.is_empty() && name.len() <= 253 && name.bytes().all(in_shape), "{name:?}");
                }
                LookupResult::Failed
            });
        }
    }
}
