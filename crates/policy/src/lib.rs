//! May this request leave, and why: the one answer, shared by the gate and by `check`. Pure: no file, clock, net or env.
//!
//! A policy is an ordered list of routes. The first route that a request fits in everything decides; a request that fits
//! none is denied. [`judge`] holds the whole order of questions, [`Policy::decide`] those about the request itself.

mod address;
mod decide;
mod denial;
mod destination;
mod explain;
mod git;
mod header_names;
mod header_rules;
mod host;
pub mod judge;
mod label;
mod lookalike;
pub mod matchable;
mod names;
mod normalise;
mod pattern;
mod query;
mod risk;
mod role;
mod route;
mod url;
mod value;

pub use address::{is_undialable, needs_private, private_because};
pub use decide::{Pass, Request};
pub use denial::{Denial, Reason};
pub use destination::{Destination, DialTo, Via};
pub use header_names::{
    CONNECTION_HEADERS, CREDENTIAL_HEADERS, FORWARDING_HEADERS, HeaderFields, OVERRIDE_HEADERS, is_gate_controlled,
    is_websocket_upgrade, same_header,
};
pub use header_rules::HeaderRules;
pub use host::plain_name;
pub use names::{Authority, Names};
pub use normalise::{PathReadings, normalise};
pub use pattern::{ConnectTo, HostPattern, PathPattern};
pub use query::{NO_OTHER_PARAMETER, QueryRules};
pub use risk::risks;
pub use route::{Auth, AuthScheme, Dlp, GitAccess, Inspect, Policy, Protocol, Reads, Role, Route};
pub use url::{RequestUrl, UrlError, UrlScheme};
pub use value::ValuePattern;

/// Environment variables that tell programs of a proxy, in lower case; programs read other spellings as well. None is ever
/// set in a bottle: what may leave needs none.
pub const PROXY_VARIABLES: [&str; 5] = ["all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"];

// Former names, for the callers that have not yet taken the new ones.
pub use address::{
    is_local_name as local_name, is_private_name as private_name, is_undialable as nowhere, private_because as special,
};
pub use decide::Request as Ask;
pub use header_names::{
    CONNECTION_HEADERS as HOPS, CREDENTIAL_HEADERS as CREDENTIALS, FORWARDING_HEADERS as CLAIMS,
    OVERRIDE_HEADERS as OVERRIDES, is_gate_controlled as is_ours,
};
pub use query::NO_OTHER_PARAMETER as NO_OTHER;
pub use route::AuthScheme as Scheme;

pub mod worth {
    //! Former names.
    pub use super::matchable::{
        MIN_VALUE_BYTES as SHORTEST, SecretClass as Class, entropy_bits as bits, unmatchable_because as unfit,
    };
}

impl Policy {
    pub fn at(&self, host: &str, port: u16) -> Result<usize, Denial> {
        self.route_for(host, port)
    }
    pub fn allowed_at(&self, host: &str, port: u16) -> Vec<String> {
        self.allowed_requests(host, port)
    }
}

impl Route {
    pub fn takes_websockets(&self) -> bool {
        self.allows_websockets()
    }
    pub fn writes(&self) -> bool {
        self.can_write()
    }
    pub fn place(&self) -> String {
        self.base_url()
    }
}

impl Denial {
    pub fn near(self, route: usize) -> Denial {
        self.with_route(route)
    }
}
