//! May this request leave, and why: the one answer, shared by the gate and by `check`. Pure: no file, clock, net or env.
//!
//! A policy is an ordered list of routes. The first route that a request fits in everything decides; a request that fits
//! none is denied. [`judge`] holds the whole order of questions, [`Policy::decide`] those about the request itself.

mod address;
mod amend;
mod credential_headers;
mod decide;
mod denial;
mod destination;
mod diff;
mod explain;
mod git;
mod git_refs;
mod header_names;
mod header_rules;
mod host;
pub mod judge;
mod label;
mod lookalike;
pub mod matchable;
mod names;
mod no_proxy;
mod normalise;
mod pattern;
mod proxy_headers;
mod query;
mod risk;
mod role;
mod route;
mod shape;
mod url;
mod value;

pub use address::{is_undialable, needs_private, private_because};
pub use amend::{Addition, Position, Widening};
pub use decide::{Pass, Request};
pub use denial::{Denial, Reason};
pub use destination::{Destination, DialTo, Server, Via};
pub use diff::{Difference, Differences, Effect, diff};
pub use git_refs::{MAX_REF_BYTES, RefChange, RefPattern, RefRules, is_ref_name};
pub use header_names::{
    CONNECTION_HEADERS, HeaderFields, announces_body, is_credential, is_gate_controlled, is_websocket_upgrade,
    passes_as_trailer,
};
pub use header_rules::HeaderRules;
pub use host::{plain_name, reserved_because};
pub use names::{Authority, Names};
pub use no_proxy::NoProxy;
pub use normalise::{PathReadings, normalise};
pub use pattern::{ConnectTo, HostPattern, PathPattern};
pub use query::{NO_OTHER_PARAMETER, QueryRules, is_method_parameter, overriding_methods};
pub use risk::risks;
pub use route::{Auth, AuthScheme, Dlp, GitAccess, Inspect, Policy, Protocol, Reads, Role, Route, is_upstream_plain};
pub use shape::shape;
pub use url::{RequestUrl, UrlError, UrlScheme};
pub use value::ValuePattern;

/// Environment variables that tell programs of a proxy, in lower case; programs read other spellings as well. None is ever
/// set in a bottle: what may leave needs none.
pub const PROXY_VARIABLES: [&str; 5] = ["all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"];
