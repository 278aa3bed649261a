//! The table of host names and their loopback addresses.
//!
//! Invariant: an address belongs to its name for the life of the container, so a program that caches it never reaches
//! another name.

use std::collections::HashMap;
use std::net::Ipv4Addr;

/// First address. The following ones are assigned in order, within 127.64.0.0/10.
const FIRST_ADDRESS: u32 = u32::from_be_bytes([127, 64, 0, 1]);
/// Most names in the table: more than a session needs, and a bound on the memory that an agent can make init use.
pub const MAX_NAMES: usize = 1024;

#[derive(Debug, Default)]
pub struct Names {
    addresses: HashMap<String, Ipv4Addr>,
    /// In the order of their addresses.
    names: Vec<String>,
}

impl Names {
    /// The address of a name that has one.
    pub fn address(&self, name: &str) -> Option<Ipv4Addr> {
        self.addresses.get(name).copied()
    }

    /// The name that an address was assigned to.
    pub fn name(&self, address: Ipv4Addr) -> Option<&str> {
        let index = u32::from(address).checked_sub(FIRST_ADDRESS)?;
        self.names.get(usize::try_from(index).ok()?).map(String::as_str)
    }

    /// The address that the next new name gets.
    pub fn next_address(&self) -> Ipv4Addr {
        Ipv4Addr::from(FIRST_ADDRESS + u32::try_from(self.names.len()).unwrap_or(0))
    }

    /// Assigns [`Names::next_address`] to a name that has no address yet, and returns it.
    pub fn assign(&mut self, name: &str) -> Ipv4Addr {
        let address = self.next_address();
        self.addresses.insert(name.to_owned(), address);
        self.names.push(name.to_owned());
        address
    }

    /// Count of names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Names with their addresses, in order.
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
        for n in 0..MAX_NAMES {
            let name = format!("n{n}.example.org");
            assert_eq!(names.address(&name), None);
            let address = names.assign(&name);
            assert!(seen.insert(address), "{address} twice");
            assert!(matches!(address.octets(), [127, 64..=127, _, _]), "{address}");
            assert_eq!(names.address(&name), Some(address));
            assert_eq!(names.name(address), Some(name.as_str()));
        }
        assert_eq!(names.len(), MAX_NAMES);
        assert_eq!(names.name(names.next_address()), None);
        assert_eq!(names.name(Ipv4Addr::LOCALHOST), None);
        assert_eq!(names.iter().count(), MAX_NAMES);
    }
}
