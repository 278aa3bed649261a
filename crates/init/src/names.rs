//! Which name has which loopback address. An address, once given, belongs to its name for good: a program that caches
//! it can never be led to another name's connection.

use std::collections::HashMap;
use std::net::Ipv4Addr;

/// Addresses are given in order from here, within 127.64.0.0/10.
const FIRST: u32 = u32::from_be_bytes([127, 64, 0, 1]);
/// More names than a session asks for; a bound on what an agent can make init hold.
pub const MOST: usize = 1024;

#[derive(Debug, Default)]
pub struct Names {
    addresses: HashMap<String, Ipv4Addr>,
    /// By order of address.
    names: Vec<String>,
}

impl Names {
    pub fn address(&self, name: &str) -> Option<Ipv4Addr> {
        self.addresses.get(name).copied()
    }

    pub fn name(&self, address: Ipv4Addr) -> Option<&str> {
        let index = u32::from(address).checked_sub(FIRST)?;
        self.names.get(usize::try_from(index).ok()?).map(String::as_str)
    }

    /// The address that the next new name gets.
    pub fn next(&self) -> Ipv4Addr {
        Ipv4Addr::from(FIRST + u32::try_from(self.names.len()).unwrap_or(0))
    }

    /// Gives [`Names::next`] to a name that has none.
    pub fn give(&mut self, name: &str) -> Ipv4Addr {
        let address = self.next();
        self.addresses.insert(name.to_owned(), address);
        self.names.push(name.to_owned());
        address
    }

    pub fn len(&self) -> usize {
        self.names.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Ipv4Addr)> {
        self.names.iter().map(|name| (name.as_str(), self.addresses[name]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_an_address_of_its_own() {
        let mut names = Names::default();
        let mut seen = std::collections::HashSet::new();
        for n in 0..MOST {
            let name = format!("n{n}.example.org");
            assert_eq!(names.address(&name), None);
            let address = names.give(&name);
            assert!(seen.insert(address), "{address} twice");
            assert!(matches!(address.octets(), [127, 64..=127, _, _]), "{address}");
            assert_eq!(names.address(&name), Some(address));
            assert_eq!(names.name(address), Some(name.as_str()));
        }
        assert_eq!(names.len(), MOST);
        assert_eq!(names.name(names.next()), None);
        assert_eq!(names.name(Ipv4Addr::LOCALHOST), None);
        assert_eq!(names.iter().count(), MOST);
    }
}
