//! Speaks: bytes to typed messages and back.
//!
//! This crate knows the formats that Prudence meets at its edges and nothing else: no engine, no ledger, no runtime, no clock.
//! Every parser takes a slice and its limits, refuses rather than guesses, and is met by a fuzzer (`fuzz/`).
//!
//! - [`frame`]: one JSON-RPC 2.0 message as it came, read strictly, edited only where it must be.
//! - [`mcp`]: what the methods of the Model Context Protocol mean, in all its published revisions.
//! - [`headers`]: the HTTP headers that repeat parts of a message, and when they contradict it.
//! - [`canonical`]: RFC 8785 text and its digest.
//! - [`token`]: the task token and the person token.
//! - [`dpop`]: proofs that a client holds the key of its token; [`jwk`]: public keys of others; [`assertion`]: a client's word for who it is;
//!   [`certificate`]: who the other side of a TLS connection is.
//! - [`time`]: moments as text.
//! - [`authzen`]: questions of enforcement points elsewhere, and answers.

pub mod assertion;
pub mod authzen;
pub mod canonical;
pub mod certificate;
pub mod dpop;
pub mod frame;
#[doc(hidden)]
pub mod fuzzing;
pub mod headers;
pub mod jwk;
mod jws;
pub mod mcp;
mod strict;
pub mod time;
pub mod token;
