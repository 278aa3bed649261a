//! The policy that is in force, with the secrets and tokens that it uses. A reload replaces it as a whole.

pub mod allowed;
pub mod ca;
pub mod canary;
pub mod diff;
pub mod go_message;
pub mod injection;
pub mod lease;
pub mod pem;
pub mod once;
pub mod proxy;
pub mod refresh;
pub mod reload;
pub mod secrets;
pub mod snapshot;
pub mod upstream_tls;
