//! The sides that clients see.

pub mod http;
pub mod stdio;
