//! The wall clock of whoever reads.
#![allow(unsafe_code)]

use nix::libc;

/// `2026-01-31` and `21:04:59` of this Unix time, in the zone of `TZ` or of this machine. `None`: no calendar has it.
pub fn local(seconds: i64) -> Option<(String, String)> {
    let seconds = libc::time_t::try_from(seconds).ok()?;
    let mut parts = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are good for the call, and where it does not give null it has written all of `tm`.
    let parts = unsafe {
        match libc::localtime_r(&raw const seconds, parts.as_mut_ptr()).is_null() {
            true => return None,
            false => parts.assume_init(),
        }
    };
    let date = format!("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
    Some((date, format!("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec)))
}
