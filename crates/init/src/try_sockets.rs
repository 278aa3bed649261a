//! `init try-sockets`: whether the container's filter of system calls holds, told by sockets that it must not allow.

use crate::failure::Failure;
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use std::io::Write;

/// Prints the error numbers of making a socket of AF_VSOCK, and one of AF_NETLINK with another protocol than 0, with a
/// space between; 0 for one that could be made. None is connected.
///
/// # Errors
/// Stdout cannot be written.
pub fn run() -> Result<i32, Failure> {
    let number = |family, kind, protocol: Option<SockProtocol>| {
        socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol).map_or_else(|error| error as i32, |_| 0)
    };
    let vsock = number(AddressFamily::Vsock, SockType::Stream, None);
    let netlink = number(AddressFamily::Netlink, SockType::Raw, Some(SockProtocol::NetlinkKObjectUEvent));
    writeln!(std::io::stdout(), "{vsock} {netlink}")?;
    Ok(0)
}
