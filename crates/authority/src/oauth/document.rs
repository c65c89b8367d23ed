//! A client's metadata from its address (draft-ietf-oauth-client-id-metadata-document, as MCP uses it).
//!
//! Here somebody from outside makes this server ask for an address. So: https alone, a name and no number, port 443, nothing that
//! resolves into a network of one's own, no redirect, few bytes, little time, few at once; and what came is remembered for a while.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use judge::moment::Moment;
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde_json::Value;
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::error::Refusal;
use crate::network::is_public;

/// The largest document, in bytes (§6.6 of the draft suggests 5 kB).
const BYTES_MAX: usize = 8 << 10;
const TIME_MAX: Duration = Duration::from_secs(5);
/// Documents that are fetched at a time.
const FETCHES_MAX: usize = 4;
const REMEMBERED_MAX: usize = 1_000;
const REMEMBERED_MS: u64 = 5 * 60 * 1000;
/// Who did not answer is not asked again for a while: somebody else could be made to suffer from us.
const FAILURE_REMEMBERED_MS: u64 = 60 * 1000;
const ID_BYTES_MAX: usize = 256;

/// Fetches documents, and remembers them.
pub struct Documents {
    http: Option<reqwest::Client>,
    places: Semaphore,
    remembered: Mutex<HashMap<String, (Found, Moment)>>,
}

/// What was found at an address.
type Found = Result<Arc<Value>, Refusal>;

impl std::fmt::Debug for Documents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Documents")
    }
}

impl Documents {
    /// Nothing is fetched yet. Where the platform's certificates cannot be used, nothing ever is.
    #[must_use]
    pub fn new() -> Self {
        let http = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIME_MAX)
            .connect_timeout(TIME_MAX)
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(PublicOnly))
            .user_agent("prudence")
            .build();
        if let Err(error) = &http {
            tracing::warn!(%error, "documents of clients cannot be fetched");
        }
        Self { http: http.ok(), places: Semaphore::new(FETCHES_MAX), remembered: Mutex::default() }
    }

    /// The document of the client with this address.
    ///
    /// # Errors
    /// [`Refusal::Client`] with what is wrong with the address or with what is there; [`Refusal::Busy`].
    pub async fn of(&self, id: &str, now: Moment) -> Found {
        let url = address(id)?;
        if let Some((found, until)) = self.remembered.lock().get(id)
            && now < *until
        {
            return found.clone();
        }
        // Nobody waits here for others' slow servers.
        let _place = self.places.try_acquire().map_err(|_| Refusal::Busy)?;
        let found = self.fetch(url).await.and_then(|body| document(id, &body)).map(Arc::new);
        let life_ms = if found.is_ok() { REMEMBERED_MS } else { FAILURE_REMEMBERED_MS };
        let mut remembered = self.remembered.lock();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(id.to_owned(), (found.clone(), now.after_ms(life_ms)));
        found
    }

    async fn fetch(&self, url: Url) -> Result<Vec<u8>, Refusal> {
        let wrong = |sentence: &str| Refusal::Client(format!("the client's document: {sentence}"));
        let http = self.http.as_ref().ok_or_else(|| wrong("it cannot be fetched from here"))?;
        let asked = http.get(url).header("accept", "application/json").send().await;
        let mut answer = asked.map_err(|error| {
            tracing::info!(%error, "a client's document cannot be fetched");
            wrong("it cannot be fetched")
        })?;
        if answer.status() != 200 {
            return Err(wrong("expected the status 200"));
        }
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
            return Err(wrong("expected JSON"));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| wrong("it broke off"))? {
            if body.len() + chunk.len() > BYTES_MAX {
                return Err(wrong("it is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a client's id is meant as an address.
#[must_use]
pub fn is_address(id: &str) -> bool {
    id.starts_with("https://")
}

/// Reads an address that is a client's id (§3 of the draft).
fn address(id: &str) -> Result<Url, Refusal> {
    let wrong = |sentence: &str| Refusal::Client(format!("expected as client_id {sentence}"));
    if id.len() > ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(wrong("an address of printable characters"));
    }
    let url = Url::parse(id).map_err(|_| wrong("an absolute address"))?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none() && url.query().is_none();
    if url.scheme() != "https" || !is_plain || url.port().is_some() {
        return Err(wrong("an https address without port, query, fragment and user name"));
    }
    // A number would go past the resolver, and with it past what keeps us out of networks of our own.
    if !matches!(url.host(), Some(Host::Domain(_))) {
        return Err(wrong("an address with a name as host"));
    }
    if url.path() == "/" || url.as_str() != id {
        return Err(wrong("an address with a path, in its plain spelling"));
    }
    Ok(url)
}

/// Reads a document: it has to be about the address at which it was (§4.1 of the draft).
fn document(id: &str, body: &[u8]) -> Result<Value, Refusal> {
    let wrong = |sentence: &str| Refusal::Client(format!("the client's document: {sentence}"));
    let document: Value = serde_json::from_slice(body).map_err(|_| wrong("expected JSON"))?;
    if document.get("client_id").and_then(Value::as_str) != Some(id) {
        return Err(wrong("its 'client_id' is not its address"));
    }
    Ok(document)
}

/// Resolves names, and lets through only addresses of the open network.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One private address among public ones is the trick, not the exception.
            if found.is_empty() || !found.iter().all(|address| is_public(address.ip())) {
                return Err("the name leads into a network that is not asked".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
