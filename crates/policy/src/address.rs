//! Addresses and names that a bottle must not reach unless a route says `private`: the host's own network, its
//! neighbours, and the services that clouds offer at fixed addresses. Source: the IANA special-purpose registries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why this address may not be dialled for a route without `private`; `None`: it is an ordinary public one.
pub fn private_because(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => private_v4_because(address),
        IpAddr::V6(address) => private_v6_because(address),
    }
}

/// Addresses that are never dialled, for a `private` route neither: no single machine has one.
pub fn is_undialable(address: IpAddr) -> bool {
    let address = address.to_canonical();
    address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST)
}

/// Whether an upstream that is written so can be seen, without a name server, to need a `private` route: a literal
/// address that is not public, a name of this machine, or the engine's own name for the host.
pub fn needs_private(upstream: &str) -> bool {
    match upstream.parse() {
        Ok(address) => private_because(address).is_some(),
        Err(_) => is_local_name(upstream) || upstream == "host-gateway",
    }
}

fn private_v4_because(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (127, ..) => Some("a loopback address"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Some("a private address"),
        (169, 254, _) => Some("a link-local address"),
        (100, 64..=127, _) => Some("a shared (carrier NAT) address"),
        // Azure's host service: it answers metadata requests, and lies in no reserved block.
        (168, 63, 129) if address == Ipv4Addr::new(168, 63, 129, 16) => Some("a metadata address"),
        (224..=239, ..) => Some("a multicast address"),
        (0, ..)
        | (240..=255, ..)
        | (192, 0, 0 | 2)
        | (192, 88, 99)
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113) => Some("a reserved address"),
        _ => None,
    }
}

fn private_v6_because(address: Ipv6Addr) -> Option<&'static str> {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        private_v4_because(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // Mapped and compatible addresses are another spelling of IPv4: no honest name has one.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] => Some("an IPv4 address in disguise"),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        [0x64, 0xff9b, ..] | [0x100, ..] | [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, ..] => {
            Some("a reserved address")
        }
        [0xfc00..=0xfdff, ..] => Some("a private address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a private address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // All that the registry has given out as global unicast.
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

/// Names that mean this machine, whatever address they resolve to.
pub(super) fn is_local_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost") || name.ends_with(".localdomain")
}

/// Names that only a private network resolves. They are denied where a proxy resolves in the gate's place.
pub(super) fn is_private_name(name: &str) -> bool {
    const ZONES: [&str; 6] = [".local", ".internal", ".home.arpa", ".lan", ".intranet", ".private"];
    is_local_name(name) || !name.contains('.') || ZONES.iter().any(|zone| name.ends_with(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_known() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "2001:20::1",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "64:ff9c::1",
            "100::1",
            "200::1",
            "1fff::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fbff::1",
            "fe00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(private_because(text.parse().unwrap()).is_some(), "{text}");
        }
        for text in
            ["1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "192.0.1.1", "2606:4700::1", "64:ff9b::101:101"]
        {
            assert_eq!(private_because(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn no_machine_has_such_an_address() {
        for text in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "::ffff:0.0.0.0"] {
            assert!(is_undialable(text.parse().unwrap()), "{text}");
        }
        assert!(!is_undialable("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn private_names_are_known() {
        for name in ["localhost", "a.localhost", "printer", "nas.local", "metadata.google.internal"] {
            assert!(is_private_name(name), "{name}");
        }
        assert!(!is_private_name("example.org"));
        assert!(!is_local_name("metadata.google.internal"));
    }

    /// The first ones were taken for public by the manifest, and denied by the gate.
    #[test]
    fn what_needs_private_is_seen_before_it_is_dialled() {
        for upstream in [
            "168.63.129.16",
            "100.64.0.1",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "fec0::1",
            "ff02::1",
            "db.localhost",
            "localhost.localdomain",
            "host-gateway",
            "localhost",
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(needs_private(upstream), "{upstream}");
        }
        for upstream in ["1.1.1.1", "2606:4700::1", "64:ff9b::101:101", "example.org", "nas.local", "printer"] {
            assert!(!needs_private(upstream), "{upstream}");
        }
    }
}
