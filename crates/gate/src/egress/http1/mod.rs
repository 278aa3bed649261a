//! HTTP/1 read strictly, before anything else reads it: a head that two servers could read in two ways is refused.

pub mod framing;
pub mod head;
pub mod ledger;
pub mod strict;
