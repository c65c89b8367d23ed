//! How a client finds in: what this server is and who issues its tokens (protected resource metadata, RFC 9728), and the challenges that
//! say so (`WWW-Authenticate`). Whether somebody is let in is not known here.

use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use judge::effect::Effect;
use serde_json::{Value, json};
use wire::jwk::Algorithm;

use crate::answer::{Answer, AnswerBody};

/// Where the metadata is (RFC 9728 §3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
/// The type of `authorization_details` that is a task (RFC 9396).
const TASK_TYPE: &str = "prudence_task";

/// How clients get tokens for this gateway.
#[derive(Clone, Debug)]
pub struct Door {
    /// The address of `/mcp` as clients know it: what tokens must be for, and what proofs must be made for.
    pub resource: String,
    /// The authorization servers whose tokens are believed.
    pub authorization_servers: Vec<String>,
    /// What a client asks for when it does not know what it needs.
    pub scopes: Vec<String>,
    /// Whether tokens that are bound to no key are taken.
    pub bearer: bool,
    /// Whether clients can show a certificate, to which tokens may be bound.
    pub certificates: bool,
    /// Whether proofs must hold a nonce of this server.
    pub nonces: bool,
    /// Whether a call with an effect that the task does not name is answered with a challenge for that scope, in place of a refusal that
    /// the model can read.
    pub step_up: bool,
}

/// Why a request is not answered, for programs.
pub struct Challenge<'a> {
    /// The error's code.
    pub error: Option<&'static str>,
    /// A sentence.
    pub description: Option<&'a str>,
    /// The scope that would do.
    pub scope: Option<&'a str>,
}

impl Door {
    /// The path below which the resource is known, `/mcp` as a rule.
    fn path(&self) -> &str {
        let rest = self.resource.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').map_or("", |at| &rest[at..])
    }

    /// The address of the metadata: between host and path of the resource (RFC 9728 §3.1).
    fn metadata_url(&self) -> String {
        let origin = self.resource.strip_suffix(self.path()).unwrap_or(&self.resource);
        format!("{origin}{WELL_KNOWN}{}", self.path())
    }

    /// The metadata, where `path` is an address of it: with the resource's path or without.
    #[must_use]
    pub fn metadata_at(&self, path: &str) -> Option<Answer> {
        let rest = path.strip_prefix(WELL_KNOWN)?;
        if !rest.is_empty() && rest != self.path() {
            return None;
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
        let body = AnswerBody::Whole(self.metadata().to_string().into());
        Some(Answer { status: StatusCode::OK, headers, body })
    }

    fn metadata(&self) -> Value {
        json!({
            "resource": self.resource,
            "authorization_servers": self.authorization_servers,
            "scopes_supported": Effect::ALL.map(Effect::word),
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": Algorithm::NAMES,
            "dpop_bound_access_tokens_required": !self.bearer,
            "tls_client_certificate_bound_access_tokens": self.certificates,
            "authorization_details_types_supported": [TASK_TYPE],
            "resource_name": "Prudence",
        })
    }
}

impl Challenge<'_> {
    /// Writes the challenge of each scheme that is taken.
    pub fn write(&self, door: Option<&Door>, headers: &mut HeaderMap) {
        let mut shared = Vec::new();
        if let Some(error) = self.error {
            shared.push(format!("error=\"{error}\""));
        }
        if let Some(description) = self.description {
            shared.push(format!("error_description=\"{}\"", description.replace(['"', '\\'], "'")));
        }
        if let Some(door) = door {
            let asked = door.scopes.join(" ");
            let scope = self.scope.unwrap_or(&asked);
            // Only where a token is to be had: a wrong proof is not put right by another scope.
            if !scope.is_empty() && self.error.is_none_or(|error| matches!(error, "invalid_token" | "insufficient_scope")) {
                shared.push(format!("scope=\"{scope}\""));
            }
            shared.push(format!("resource_metadata=\"{}\"", door.metadata_url()));
        }
        let is_of_a_proof = self.error.is_some_and(|error| matches!(error, "invalid_dpop_proof" | "use_dpop_nonce"));
        if !is_of_a_proof && door.is_none_or(|door| door.bearer) {
            append(headers, "Bearer realm=\"prudence\"", &shared);
        }
        if is_of_a_proof || door.is_some() {
            append(headers, &format!("DPoP realm=\"prudence\", algs=\"{}\"", Algorithm::NAMES.join(" ")), &shared);
        }
    }
}

fn append(headers: &mut HeaderMap, begins: &str, rest: &[String]) {
    let challenge = std::iter::once(begins).chain(rest.iter().map(String::as_str)).collect::<Vec<_>>().join(", ");
    let value = HeaderValue::from_str(&challenge).unwrap_or(HeaderValue::from_static("Bearer realm=\"prudence\""));
    headers.append(WWW_AUTHENTICATE, value);
}
