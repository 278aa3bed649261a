//! The credential header of a route: the gate adds it to each request, and the agent never sees it.
//!
//! No type here has a derived `Debug`.

use crate::egress::live::lease::Lease;
use crate::egress::live::secrets::SecretStore;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use policy::matchable::SecretClass;
use policy::{Auth, AuthScheme, Policy, Route};
use scan::answers::Needles;
use scan::dlp::{Known, Vault};
use std::sync::Arc;
use std::time::SystemTime;
use wire::encode_base64;

/// A header that the gate adds. Its value is marked sensitive.
pub struct Injection {
    pub name: HeaderName,
    pub value: HeaderValue,
    /// Name of the token.
    pub token: String,
    /// When the token ends; `None` if it never does.
    pub ends: Option<SystemTime>,
    /// What an answer must not contain. `None` if the token is too short to be told from an ordinary word.
    pub needles: Option<Arc<Needles>>,
    /// The token, to be found in an answer where it cannot be overwritten.
    pub vault: Arc<Vault>,
    /// A command prints the token, so that a new value can be asked for.
    pub renewable: bool,
}

impl Injection {
    /// One for each route of `policy`; `None` for a route without `auth`.
    pub fn for_routes(policy: &Policy, secrets: &SecretStore) -> Result<Vec<Option<Injection>>, String> {
        policy.routes.iter().map(|route| Injection::new(route, secrets)).collect()
    }

    fn new(route: &Route, secrets: &SecretStore) -> Result<Option<Injection>, String> {
        let Some(Auth { scheme, token }) = &route.auth else { return Ok(None) };
        let secret = secrets.value(token)?;
        if secret.is_empty() {
            return Err(format!("the token `{token}` is empty"));
        }
        let prefixed = |prefix: &str| [prefix.as_bytes(), secret].concat();
        let mut hidden = vec![secret.to_vec()];
        let (name, bytes) = match scheme {
            AuthScheme::Bearer => (AUTHORIZATION, prefixed("Bearer ")),
            AuthScheme::Token => (AUTHORIZATION, prefixed("token ")),
            AuthScheme::Basic { user } => {
                let pair = encode_base64(&prefixed(&format!("{user}:")));
                hidden.push(pair.clone().into_bytes());
                (AUTHORIZATION, format!("Basic {pair}").into_bytes())
            }
            AuthScheme::Header { header } => {
                let name =
                    HeaderName::try_from(header.as_str()).map_err(|_| format!("`{header}` is not a header name"))?;
                (name, secret.to_vec())
            }
        };
        let mut value =
            HeaderValue::from_bytes(&bytes).map_err(|_| format!("the token `{token}` cannot stand in a header"))?;
        value.set_sensitive(true);
        let lease = secrets.lease(token);
        let (ends, renewable) = (lease.and_then(Lease::ends), lease.is_some());
        let needles = Needles::of(hidden.iter().map(Vec::as_slice)).map(Arc::new);
        let known = |bytes| Known { name: token.clone(), class: SecretClass::GateOnly, bytes };
        let vault = Arc::new(Vault::new(&hidden.into_iter().map(known).collect::<Vec<_>>()));
        Ok(Some(Injection { name, value, token: token.clone(), ends, needles, vault, renewable }))
    }

    /// Do both inject the same value, which ends at the same time?
    pub fn is_same_token(&self, other: &Injection) -> bool {
        (&self.value, self.ends) == (&other.value, other.ends)
    }
}
