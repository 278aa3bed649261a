//! Which upstreams are reached past the upstream proxy, as other programs read the variable `no_proxy`.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// A list of names, suffixes, addresses and networks, each with a port or without one. Empty: the proxy takes everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoProxy {
    text: String,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    upstreams: Upstreams,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Upstreams {
    All,
    /// The name and all names below it; in lower case.
    Name(String),
    /// All names below it, and not the name itself; in lower case.
    Below(String),
    /// Addresses with the same first bits. Names are not resolved for it.
    Network {
        address: IpAddr,
        bits: u8,
    },
}

impl NoProxy {
    /// Reads `example.org, .example.net, 10.0.0.0/8, [fd00::]/8, host:8443, *`. A name means all names below it, too; a
    /// dot or `*.` before it means those alone.
    ///
    /// # Errors
    /// What is wrong with the first entry that is none, and which it is.
    pub fn parse(text: &str) -> Result<NoProxy, String> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        let entries = words.map(Entry::parse).collect::<Result<_, _>>()?;
        Ok(NoProxy { text: text.to_owned(), entries })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether this upstream, as it is dialled, is reached past the proxy. `name`: a host name or an address.
    pub fn takes(&self, name: &str, port: u16) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.entries.iter().any(|entry| entry.takes(&name, port))
    }
}

impl TryFrom<String> for NoProxy {
    type Error = String;

    fn try_from(text: String) -> Result<NoProxy, String> {
        NoProxy::parse(&text)
    }
}

impl From<NoProxy> for String {
    fn from(list: NoProxy) -> String {
        list.text
    }
}

impl Entry {
    fn parse(word: &str) -> Result<Entry, String> {
        let refused = |why: &str| format!("has `{word}`, which {why}");
        if let Some((address, bits)) = word.rsplit_once('/') {
            let address = parse_address(address).ok_or_else(|| refused("is no network: its address is none"))?;
            let bits = bits.parse().ok().filter(|bits| *bits <= width(address));
            let bits =
                bits.ok_or_else(|| refused("is no network: behind the slash stands the number of its first bits"))?;
            return Ok(Entry { upstreams: Upstreams::Network { address, bits }, port: None });
        }
        if let Some(address) = parse_address(word) {
            return Ok(Entry { upstreams: Upstreams::Network { address, bits: width(address) }, port: None });
        }
        let (name, port) = match word.rsplit_once(':') {
            Some((name, port)) => {
                let port = port.parse().ok().filter(|port| *port != 0);
                (name, Some(port.ok_or_else(|| refused("has a port that is no number from 1 to 65535"))?))
            }
            None => (word, None),
        };
        let upstreams = match (name, parse_address(name)) {
            ("*", _) => Upstreams::All,
            (_, Some(address)) => Upstreams::Network { address, bits: width(address) },
            (name, None) => {
                let below = name.strip_prefix("*.").or(name.strip_prefix('.'));
                let plain = below.unwrap_or(name);
                let plain = plain.strip_suffix('.').unwrap_or(plain).to_ascii_lowercase();
                let is_label = |label: &str| {
                    !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
                };
                if !plain.split('.').all(is_label) {
                    return Err(refused("is neither a name, an address nor a network"));
                }
                if below.is_some() { Upstreams::Below(plain) } else { Upstreams::Name(plain) }
            }
        };
        Ok(Entry { upstreams, port })
    }

    fn takes(&self, name: &str, port: u16) -> bool {
        let is_below =
            |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'));
        self.port.is_none_or(|only| only == port)
            && match &self.upstreams {
                Upstreams::All => true,
                Upstreams::Name(own) => name == own || is_below(own),
                Upstreams::Below(suffix) => is_below(suffix),
                Upstreams::Network { address, bits } => {
                    parse_address(name).is_some_and(|other| shares_bits(*address, other, *bits))
                }
            }
    }
}

/// An address, with the brackets of URLs or without them.
fn parse_address(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.parse().ok()
}

/// Number of bits of an address.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn shares_bits(network: IpAddr, address: IpAddr, bits: u8) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let differing = number(network) ^ number(address);
    network.is_ipv4() == address.is_ipv4() && differing.leading_zeros() >= u32::from(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_are_taken_as_other_programs_take_them() {
        let list =
            NoProxy::parse("example.org, .below.test *.star.test\tHost:8443,10.0.0.0/8 [fd00::]/8,192.0.2.7,").unwrap();
        for (name, port, wanted) in [
            ("example.org", 443, true),
            ("EXAMPLE.ORG.", 80, true),
            ("a.b.example.org", 443, true),
            ("notexample.org", 443, false),
            (".example.org", 443, false),
            ("below.test", 443, false),
            ("a.below.test", 443, true),
            ("star.test", 443, false),
            ("a.star.test", 443, true),
            ("host", 8443, true),
            ("host", 443, false),
            ("10.255.0.1", 443, true),
            ("11.0.0.1", 443, false),
            ("fd12::1", 443, true),
            ("fe00::1", 443, false),
            ("192.0.2.7", 443, true),
            ("192.0.2.8", 443, false),
            ("org", 443, false),
        ] {
            assert_eq!(list.takes(name, port), wanted, "{name}:{port}");
        }
        assert!(
            NoProxy::parse("*").unwrap().takes("a.test", 1) && NoProxy::parse("0.0.0.0/0").unwrap().takes("1.2.3.4", 1)
        );
        assert!(!NoProxy::default().takes("a.test", 443) && NoProxy::parse(" , ").unwrap().is_empty());
        assert!(
            NoProxy::parse("[::1]:8080").unwrap().takes("::1", 8080) && NoProxy::parse("::1").unwrap().takes("::1", 1)
        );
    }

    #[test]
    fn what_is_none_is_refused_and_named() {
        for (bad, why) in [
            ("a.test,10.0.0.0/33", "`10.0.0.0/33`, which is no network"),
            ("fd00::/129", "no network"),
            ("a.test/8", "its address is none"),
            ("a.test:0", "port"),
            ("a.test:x", "port"),
            ("http://a.test", "`http://a.test`"),
            ("a..test", "neither a name"),
            ("a*.test", "neither a name"),
            ("*.", "neither a name"),
        ] {
            let said = NoProxy::parse(bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}
