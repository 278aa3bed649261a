//! Every end of a connection or request is one audit line; findings are alarms.

pub mod record;
