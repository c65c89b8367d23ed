//! What clients read first: the metadata of the authorization server (RFC 8414), and the keys with which its tokens are verified.

use axum::Json;
use axum::extract::State as Shared;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use judge::effect::Effect;
use serde_json::{Value, json};
use wire::jwk::Algorithm;

use super::Oauth;
use super::client::Method;
use super::config::Certificates;
use super::details::TASK_TYPE;
use super::token::GRANTS;

/// `GET /.well-known/oauth-authorization-server`, and where clients of OpenID Connect look.
pub async fn metadata(Shared(oauth): Shared<Oauth>) -> Response {
    cached(described(&oauth))
}

/// `GET /oauth/jwks` (RFC 7517 §5)
pub async fn keys(Shared(oauth): Shared<Oauth>) -> Response {
    cached(oauth.issuer().jwks())
}

fn described(oauth: &Oauth) -> Value {
    let config = oauth.config();
    let methods = |without_keys: bool| {
        let anybody = without_keys.then_some(Method::None);
        let methods = anybody.into_iter().chain([Method::PrivateKey, Method::Spiffe]);
        methods.chain(config.certificates.methods().iter().copied()).map(Method::word).collect::<Vec<_>>()
    };
    let mut described = json!({
        "issuer": config.issuer,
        "authorization_endpoint": config.at("/oauth/authorize"),
        "token_endpoint": config.at("/oauth/token"),
        "jwks_uri": config.at("/oauth/jwks"),
        "pushed_authorization_request_endpoint": config.at("/oauth/par"),
        "introspection_endpoint": config.at("/oauth/introspect"),
        "revocation_endpoint": config.at("/oauth/revoke"),
        "scopes_supported": Effect::ALL.map(Effect::word),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GRANTS,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": methods(true),
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "introspection_endpoint_auth_methods_supported": methods(false),
        "introspection_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "revocation_endpoint_auth_methods_supported": methods(true),
        "revocation_endpoint_auth_signing_alg_values_supported": Algorithm::NAMES,
        "dpop_signing_alg_values_supported": Algorithm::NAMES,
        // Certificates are asked for and not demanded, at the same addresses, so that there are no `mtls_endpoint_aliases` (RFC 8705 §5).
        "tls_client_certificate_bound_access_tokens": config.certificates != Certificates::None,
        "authorization_details_types_supported": [TASK_TYPE],
        "authorization_response_iss_parameter_supported": true,
        "require_pushed_authorization_requests": false,
        "client_id_metadata_document_supported": config.client_documents && config.guest_agent.is_some(),
        "protected_resources": [config.resource],
    });
    if config.registration && config.guest_agent.is_some() {
        described["registration_endpoint"] = config.at("/oauth/register").into();
    }
    described
}

fn cached(body: Value) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300"))], Json(body)).into_response()
}
