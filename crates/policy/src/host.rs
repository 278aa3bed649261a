//! Host names as they come in connections, TLS and requests. An address, in any spelling, is no name.

/// The name in lower case, without its final dot. `None`: it is no host name, or an address, be it octal, hexadecimal or
/// shortened.
pub fn plain_name(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    (name.len() <= 253 && name.split('.').all(label) && !ends_in_a_number(&name)).then_some(name)
}

/// Why no route may name this host, or this wildcard: the agent's own container or the gate answers there. `None`: it may.
pub fn reserved_because(name: &str) -> Option<&'static str> {
    if name == "bottle" || name.ends_with(".bottle") {
        return Some("names under `bottle` are the gate's own services, and always there");
    }
    if name == "localhost" || name.ends_with(".localhost") {
        return Some("`localhost` is the agent's own container; for a server on this machine use `connect_to`");
    }
    None
}

/// Whether the last label is a number: browsers and C libraries take such a name for an IPv4 address (WHATWG, URL standard).
pub(super) fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_name() {
        for (given, plain) in [
            ("Example.ORG.", "example.org"),
            ("a_b.x-y", "a_b.x-y"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1.2.3.4.example", "1.2.3.4.example"),
            ("0x7f.org", "0x7f.org"),
            ("0xg", "0xg"),
            ("127.0.0.1a", "127.0.0.1a"),
        ] {
            assert_eq!(plain_name(given).as_deref(), Some(plain), "{given}");
        }
    }

    #[test]
    fn an_address_in_any_spelling_is_none() {
        for bad in [
            "",
            ".",
            "a..b",
            "a.org..",
            ".a.org",
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "2130706433",
            "017700000001",
            "0177.0.0.1",
            "0x7f000001",
            "0X7F.0x0.0x0.0x1",
            "0x7f.1",
            "1.0x",
            "[::1]",
            "::1",
            "[::ffff:127.0.0.1]",
            "::ffff:7f00:1",
            "fe80::1%eth0",
            "[fe80::1%25eth0]",
            "user@a.org",
            "a.org:443",
            "a.org/",
            "a.org\\@b.org",
            "a.org%2eb",
            "a b.org",
            "b\u{fc}cher.example",
            "a\u{3002}org",
            "a\u{ff0e}org",
            "a.org\0.evil",
            "*.a.org",
        ] {
            assert_eq!(plain_name(bad), None, "{bad}");
        }
        assert_eq!(plain_name(&"a.".repeat(127)), Some(format!("{}a", "a.".repeat(126))));
        assert_eq!(plain_name(&format!("{}ab", "a.".repeat(126))), None);
    }
}
