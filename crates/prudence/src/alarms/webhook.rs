//! A webhook, signed as Standard Webhooks 1.0 says: the id, the moment and the body under HMAC-SHA256, and a receiver can tell a repetition by the id.
//!
//! The operator chose the address, and still: https alone (http on this machine), no redirect, no proxy of the environment, no name that leads
//! into a network of one's own unless the operator says so, and never where clouds keep the credentials of machines. Nothing of the
//! answer is read but its status.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use authority::network::is_public;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::NotTaken;
use super::message::Message;
use crate::commands::now;
use crate::config::settings;
use crate::failure::Failure;

/// How long connecting takes at most.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long everything takes at most.
const TIME_MAX: Duration = Duration::from_secs(10);
/// What a secret begins with (Standard Webhooks, "Symmetric secrets").
const SECRET_PREFIX: &str = "whsec_";
/// The bytes of a secret, least and most (the same place).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A webhook.
pub struct Webhook {
    url: Url,
    key: hmac::Key,
    /// Nothing where the platform's certificates cannot be used.
    http: Option<reqwest::Client>,
}

impl Webhook {
    /// The webhook of the channel `name`.
    ///
    /// # Errors
    /// A secret that is not there or is none, an address that cannot be used.
    pub fn new(name: &str, settings: &settings::Webhook) -> anyhow::Result<Self> {
        let helpless = |sentence: String, help: &str| Failure::Helpless { sentence, help: help.to_owned() };
        let variable = &settings.secret_from_env;
        let secret = std::env::var(variable).map(Zeroizing::new).map_err(|_| {
            helpless(
                format!("alarm `{name}` needs the environment variable `{variable}`, which is not set"),
                "it holds what the receiver gave you: `whsec_` and base64 of 24 to 64 bytes",
            )
        })?;
        let url = address(&settings.url, settings.private).map_err(|what| {
            helpless(
                format!("the webhook of alarm `{name}`: {what}"),
                "it is https, or http on this machine with `private = true`",
            )
        })?;
        Self::with(url, settings.private, &secret).ok_or_else(|| {
            helpless(
                format!("the environment variable `{variable}` of alarm `{name}` holds no secret of a webhook"),
                "expected `whsec_` and base64 of 24 to 64 bytes",
            )
            .into()
        })
    }

    /// A webhook at `url` with this secret; nothing when the secret is none.
    pub fn with(url: Url, private: bool, secret: &str) -> Option<Self> {
        let key = key(secret)?;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(TIME_MAX)
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Outside { private }))
            .user_agent("prudence")
            .build();
        if let Err(error) = &http {
            tracing::error!(%error, "webhooks cannot be sent from here");
        }
        Some(Self { url, key, http: http.ok() })
    }

    /// Sends it once.
    ///
    /// # Errors
    /// When it was not taken.
    pub async fn send(&self, message: &Message) -> Result<(), NotTaken> {
        let body = message.webhook().to_string();
        let at_s = (now().0 / 1_000).to_string();
        let signature = signature(&self.key, &message.id, &at_s, &body);
        let http = self.http.as_ref().ok_or_else(|| NotTaken("it cannot be sent from here".to_owned()))?;
        let asked = http
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", at_s)
            .header("webhook-signature", signature)
            .body(body)
            .send();
        // The error may hold the address, in whose path receivers like to put secrets.
        let answer = asked.await.map_err(|error| {
            NotTaken(if error.is_timeout() { "no answer in time" } else { "it cannot be reached" }.to_owned())
        })?;
        if answer.status().is_success() { Ok(()) } else { Err(NotTaken(format!("it answered {}", answer.status().as_u16()))) }
    }
}

/// The key of a secret as receivers hand it out.
pub fn key(secret: &str) -> Option<hmac::Key> {
    let bytes = Zeroizing::new(STANDARD.decode(secret.trim().strip_prefix(SECRET_PREFIX)?).ok()?);
    SECRET_BYTES.contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// `v1,` and base64 of the tag over `id.timestamp.body`.
pub fn signature(key: &hmac::Key, id: &str, at_s: &str, body: &str) -> String {
    let tag = hmac::sign(key, format!("{id}.{at_s}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// Reads an address.
///
/// # Errors
/// What is wrong with it.
pub fn address(text: &str, private: bool) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "expected an absolute address")?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("expected an address without user name and fragment");
    }
    let number = match url.host() {
        Some(Host::Ipv4(number)) => Some(IpAddr::V4(number)),
        Some(Host::Ipv6(number)) => Some(IpAddr::V6(number)),
        Some(Host::Domain(_)) => None,
        None => return Err("expected an address with a host"),
    };
    // A number goes past the resolver.
    if number.is_some_and(|number| !may_be_asked(number, private)) {
        return Err("expected a host outside of networks of one's own; `private = true` lets it stand in one");
    }
    let is_here = number.is_some_and(|number| number.is_loopback()) || url.host_str() == Some("localhost");
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("expected https"),
    }
}

/// Resolves names, and lets through only addresses that may be asked.
struct Outside {
    private: bool,
}

impl Resolve for Outside {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() || !found.iter().all(|address| may_be_asked(address.ip(), private)) {
                return Err("the name leads into a network that is not asked".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The open network; with `private`, also this machine and networks of one's own, but not what answers on the link itself.
fn may_be_asked(address: IpAddr, private: bool) -> bool {
    let is_own = match address.to_canonical() {
        IpAddr::V4(own) => own.is_loopback() || own.is_private(),
        IpAddr::V6(own) => own.is_loopback() || own.is_unique_local(),
    };
    is_public(address) || (private && is_own)
}
