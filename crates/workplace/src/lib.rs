//! The demonstration's other side: a small company with a forum, runbooks, datasets, mail and a calendar, served as
//! a real MCP server, and the agent and the people who work in it.
//!
//! It exists so that Prudence can be shown in front of something that Prudence did not make up. It therefore refuses to
//! know anything about Prudence: no shared crate, no shared type, only MCP and HTTP over a socket. Its own protection
//! is what an ordinary company has: API keys, roles, access lists. All of them allow the incident.
//!
//! - [`serve_http`] and [`serve_stdio`] run the workplace; it is meant to be a process of its own.
//! - [`agent`] is an MCP client with scripts as data; [`person`] is somebody in front of the web console.
//! - [`person::Narrator`] reads what is true at this moment, whatever anybody believes: [`truth::Truth`].
//!
//! The client side speaks HTTP through `reqwest`, whose TLS needs a process-wide crypto provider: `main` installs one
//! before it connects.

mod access;
mod directory;
mod http;
mod mcp;
mod tools;
mod world;

pub mod agent;
pub mod person;
pub mod script;
pub mod truth;

pub use access::ApiKey;
pub use directory::{Directory, Record};
pub use http::{ServeError, serve_http};
pub use mcp::{StdioError, serve_stdio};

/// The environment variable that a stdio client puts its key in, as there is no header to carry it
/// (MCP 2025-11-25, authorization: stdio servers take credentials from the environment).
pub const KEY_VARIABLE: &str = "WORKPLACE_API_KEY";

/// The key of an account of the seeded world: `helper`, `operator`, or a person such as `bo` or `eve`.
pub fn key_of(account: &str) -> Option<ApiKey> {
    world::seeded().accounts.key_of(account)
}

/// Completes when standard input is closed, which is what happens when the parent that holds its other end dies.
///
/// For a process that should not outlive whoever started it. Standard input is read from a thread of its own, so the
/// process must end soon after it stops waiting for this for another reason.
pub async fn parent_gone() {
    let mut input = tokio::io::stdin();
    // Whatever the parent writes is thrown away; an input that cannot be read is as good as closed.
    let _ = tokio::io::copy(&mut input, &mut tokio::io::sink()).await;
}
