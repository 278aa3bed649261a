//! Wall-clock time, in the user's time zone and in UTC.
#![allow(unsafe_code)]

use nix::libc;
use std::time::{Duration, SystemTime};

/// The present time, as the time since the beginning of 1970 in UTC. Zero where the clock is before that.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The present time as RFC 3339 has it, in UTC with seconds: `2026-01-31T21:04:59Z`.
pub fn now_utc() -> String {
    let seconds = libc::time_t::try_from(since_1970().as_secs()).unwrap_or_default();
    let mut parts = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call; unless gmtime_r(3) returns null, it has written all of `tm`.
    let parts = unsafe {
        match libc::gmtime_r(&raw const seconds, parts.as_mut_ptr()).is_null() {
            true => return String::new(),
            false => parts.assume_init(),
        }
    };
    let (date, time) = calendar(&parts);
    format!("{date}T{time}Z")
}

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
    Some(calendar(&parts))
}

/// Date and time of day.
fn calendar(parts: &libc::tm) -> (String, String) {
    let date = format!("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
    (date, format!("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec))
}
