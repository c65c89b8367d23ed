//! Issues: keys, task tokens, person tokens, and the API by which people answer asks and start tasks.
//!
//! It refuses to know the gateway: what an agent calls and how is decided elsewhere. Here stands who may speak for whom, and for how long.

pub mod api;
pub mod keys;
pub mod tokens;
pub mod view;

pub use keys::{Keys, KeysError};
pub use tokens::Issuer;
