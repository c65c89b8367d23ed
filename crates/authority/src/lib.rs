//! Issues: keys, task tokens, person tokens and client tokens, the authorization server by which programs get them, the API by which people
//! answer asks and start tasks, and the directory over SCIM.
//!
//! It refuses to know the gateway: what an agent calls and how is decided elsewhere. Here stands who may speak for whom, and for how long.

pub mod api;
mod bearer;
pub mod clients;
pub mod contain;
pub mod keys;
pub mod network;
pub mod oauth;
pub mod preview;
pub mod review;
pub mod scim;
pub mod tokens;
pub mod view;

pub use clients::Clients;
pub use keys::{Keys, KeysError};
pub use tokens::Issuer;
