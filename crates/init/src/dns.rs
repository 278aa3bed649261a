//! DNS for the agent: reads a query, asks the door what to say, writes the answer. No query ever leaves the container.
//!
//! Invariant: a name handed to the door is lower case, without a final dot, and made of letters, digits, `-`, `_` and
//! `.` alone, so that it can stand in the line `CONNECT name:port`. No packet makes this module panic.

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// An address never changes hands while the container lives.
const TTL: u32 = 3600;
const HEADER: usize = 12;
/// What a UDP query may hold, by EDNS.
const LARGEST: usize = 4096;
/// Queries taken and not yet answered.
const MOST_WAITING: usize = 4096;
/// Bytes; the kernel gives what it allows of it.
const RECEIVE_BUFFER: usize = 4 << 20;
/// A TCP client that says nothing is let go.
const IDLE: Duration = Duration::from_secs(10);
const AT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 53);

/// What is asked of the door.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    Address(&'a str),
    Name(Ipv4Addr),
}

/// What the door knows.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Address(Ipv4Addr),
    Name(String),
    /// There is no such thing.
    Nothing,
    /// There could be, but not now.
    Failed,
}

/// The answer to one packet; `None` where silence is right (too short, or itself an answer).
pub fn answer(packet: &[u8], find: impl FnOnce(Lookup<'_>) -> Found) -> Option<Vec<u8>> {
    const IS_ANSWER: u8 = 0x80;
    if packet.len() < HEADER || packet[2] & IS_ANSWER != 0 {
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
    // Go's resolver takes an empty answer without this bit for a lame server and asks again.
    reply.metadata.recursion_available = true;
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LARGEST as u16);
        reply.set_edns(edns);
    }
    reply.metadata.response_code = match (query.metadata.op_code, query.queries.as_slice()) {
        (OpCode::Query, [question]) => {
            reply.add_query(question.clone());
            let (code, data) = decide(question, find);
            reply.add_answers(data.map(|data| Record::from_rdata(question.name().clone(), TTL, data)));
            code
        }
        (OpCode::Query, _) => return malformed(),
        _ => ResponseCode::NotImp,
    };
    reply.to_vec().ok().or_else(malformed)
}

fn decide(question: &Query, find: impl FnOnce(Lookup<'_>) -> Found) -> (ResponseCode, Option<RData>) {
    if question.query_class() != DNSClass::IN {
        return (ResponseCode::Refused, None);
    }
    let Some(name) = plain(question.name()) else {
        let code = if question.name().is_root() { ResponseCode::NoError } else { ResponseCode::NXDomain };
        return (code, None);
    };
    let found = if name == "arpa" || name.ends_with(".arpa") {
        match (question.query_type(), reversed(&name)) {
            (RecordType::PTR, Some(address)) => find(Lookup::Name(address)),
            (RecordType::PTR, None) => Found::Nothing,
            _ => return (ResponseCode::NoError, None),
        }
    } else {
        match question.query_type() {
            RecordType::A | RecordType::ANY => find(Lookup::Address(&name)),
            _ => return (ResponseCode::NoError, None),
        }
    };
    match found {
        Found::Address(address) => (ResponseCode::NoError, Some(RData::A(A(address)))),
        Found::Name(name) => match Name::from_ascii(format!("{name}.")) {
            Ok(name) => (ResponseCode::NoError, Some(RData::PTR(PTR(name)))),
            Err(_) => (ResponseCode::ServFail, None),
        },
        Found::Nothing => (ResponseCode::NXDomain, None),
        Found::Failed => (ResponseCode::ServFail, None),
    }
}

/// The name as the invariant has it. `None` for what can be no host: other bytes, no label, an address literal.
fn plain(name: &Name) -> Option<String> {
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

/// The address that a name below `in-addr.arpa` (RFC 1035, section 3.5) or, for `::1` alone, `ip6.arpa` stands for.
fn reversed(name: &str) -> Option<Ipv4Addr> {
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

/// Binds both sockets and answers on them for as long as the runtime lives.
pub fn serve(find: Rc<dyn Fn(Lookup<'_>) -> Found>) -> std::io::Result<()> {
    let udp = std::net::UdpSocket::bind(AT)?;
    let _ = setsockopt(&udp, sockopt::RcvBuf, &RECEIVE_BUFFER);
    udp.set_nonblocking(true)?;
    let udp = UdpSocket::from_std(udp)?;
    let tcp = super::door::listen(AT)?;
    tokio::task::spawn_local(serve_udp(udp, find.clone()));
    tokio::task::spawn_local(serve_tcp(tcp, find));
    Ok(())
}

/// Takes queries off the socket before it answers any: the kernel holds a few hundred and drops the rest, and each one
/// lost costs a client of glibc's five seconds.
async fn serve_udp(socket: UdpSocket, find: Rc<dyn Fn(Lookup<'_>) -> Found>) {
    let mut packet = [0; LARGEST];
    let mut waiting = VecDeque::new();
    loop {
        // A flood must not keep the thread from signals and connections.
        tokio::task::coop::consume_budget().await;
        if waiting.is_empty() && socket.readable().await.is_err() {
            tokio::time::sleep(super::door::BACK_OFF).await;
        }
        while waiting.len() < MOST_WAITING
            && let Ok((length, from)) = socket.try_recv_from(&mut packet)
        {
            waiting.push_back((packet[..length].to_vec(), from));
        }
        if let Some((query, from)) = waiting.pop_front()
            && let Some(reply) = answer(&query, |lookup| find(lookup))
        {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, find: Rc<dyn Fn(Lookup<'_>) -> Found>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::task::spawn_local(converse(stream, find.clone()));
            }
            Err(_) => tokio::time::sleep(super::door::BACK_OFF).await,
        }
    }
}

/// Queries behind two bytes of length, any number on one connection (RFC 7766).
async fn converse(mut stream: TcpStream, find: Rc<dyn Fn(Lookup<'_>) -> Found>) -> Option<()> {
    loop {
        let query = async {
            let length = stream.read_u16().await.ok()?;
            let mut packet = vec![0; usize::from(length)];
            stream.read_exact(&mut packet).await.ok()?;
            Some(packet)
        };
        let packet = tokio::time::timeout(IDLE, query).await.ok()??;
        let reply = answer(&packet, |lookup| find(lookup))?;
        let mut framed = u16::try_from(reply.len()).ok()?.to_be_bytes().to_vec();
        framed.extend(reply);
        tokio::time::timeout(IDLE, stream.write_all(&framed)).await.ok()?.ok()?;
    }
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

    fn ask(name: &str, kind: RecordType, found: Found) -> (ResponseCode, Vec<RData>) {
        let packet = query(name, kind).to_vec().unwrap();
        let reply = Message::from_vec(&answer(&packet, |_| found).unwrap()).unwrap();
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
            Found::Nothing
        });
        asked
    }

    #[test]
    fn an_address_is_answered_and_other_types_are_empty() {
        let address = Ipv4Addr::new(127, 64, 0, 9);
        let (code, data) = ask("Api.Example.ORG.", RecordType::A, Found::Address(address));
        assert_eq!((code, data), (ResponseCode::NoError, vec![RData::A(A(address))]));
        for kind in
            [RecordType::AAAA, RecordType::HTTPS, RecordType::MX, RecordType::TXT, RecordType::SRV, RecordType::PTR]
        {
            assert_eq!(ask("api.example.org.", kind, Found::Failed), (ResponseCode::NoError, vec![]), "{kind}");
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
            assert_eq!(ask(bad, RecordType::A, Found::Failed).0, ResponseCode::NXDomain, "{bad}");
        }
        assert_eq!(ask(".", RecordType::A, Found::Failed), (ResponseCode::NoError, vec![]));
        assert_eq!(ask("x.org.", RecordType::A, Found::Failed).0, ResponseCode::ServFail);
    }

    #[test]
    fn addresses_are_named() {
        assert_eq!(looked_up("9.0.64.127.in-addr.arpa.", RecordType::PTR).as_deref(), Some("127.64.0.9"));
        let one = format!("1.{}ip6.arpa.", "0.".repeat(31));
        assert_eq!(looked_up(&one, RecordType::PTR).as_deref(), Some("127.0.0.1"));
        let name = Found::Name("api.example.org".into());
        let (code, data) = ask("9.0.64.127.in-addr.arpa.", RecordType::PTR, name);
        assert_eq!(code, ResponseCode::NoError);
        assert_eq!(data, vec![RData::PTR(PTR(Name::from_ascii("api.example.org.").unwrap()))]);
        for bad in ["0.64.127.in-addr.arpa.", "9.9.0.64.127.in-addr.arpa.", "x.0.64.127.in-addr.arpa.", "ip6.arpa."] {
            assert_eq!(ask(bad, RecordType::PTR, Found::Failed).0, ResponseCode::NXDomain, "{bad}");
        }
        assert_eq!(looked_up("9.0.64.127.in-addr.arpa.", RecordType::A), None);
    }

    #[test]
    fn edns_is_answered_in_kind() {
        let mut message = query("x.org.", RecordType::A);
        message.set_edns(Edns::new());
        let reply = answer(&message.to_vec().unwrap(), |_| Found::Address(Ipv4Addr::LOCALHOST)).unwrap();
        assert!(Message::from_vec(&reply).unwrap().edns.is_some());
    }

    #[test]
    fn what_is_no_query_gets_silence_or_an_error() {
        let code = |packet: &[u8]| {
            let reply = answer(packet, |_| Found::Failed)?;
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
                Found::Failed
            });
        }
    }
}
