//! HTTP/1 of the agent, read strictly before hyper reads it: what two servers could read in two ways is rejected.

pub mod framing;
pub mod head;
pub mod ledger;
pub mod strict;
