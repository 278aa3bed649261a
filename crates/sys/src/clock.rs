//! Wall-clock time in the user's time zone.
#![allow(unsafe_code)]

use nix::libc;

/// Date (`2026-01-31`) and time of day (`21:04:59`) of a Unix time in seconds, in the zone of `TZ` or of this machine.
/// `None` if the time is outside the calendar.
pub fn local(seconds: i64) -> Option<(String, String)> {
    let seconds = libc::time_t::try_from(seconds).ok()?;
    let mut parts = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call; unless localtime_r(3) returns null, it has written all of `tm`.
    let parts = unsafe {
        match libc::localtime_r(&raw const seconds, parts.as_mut_ptr()).is_null() {
            true => return None,
            false => parts.assume_init(),
        }
    };
    let date = format!("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
    Some((date, format!("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec)))
}
