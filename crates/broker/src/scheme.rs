//! What an upstream wants to see, as an operator says it. No secret is in here.

use http::HeaderName;

/// What an upstream wants to see.
#[derive(Clone, Debug)]
pub enum Scheme {
    /// A key that somebody was given, in a header.
    ApiKey {
        /// Whose key.
        per: Per,
        /// The header.
        header: HeaderName,
        /// What stands before the key, as in `Bearer `.
        prefix: String,
    },
    /// A token for Prudence itself (RFC 6749 §4.4).
    ClientCredentials(TokenClient),
    /// A token for the person, who agreed once (RFC 6749 §4.1, with PKCE, RFC 7636).
    AuthorizationCode {
        /// Who Prudence is there.
        client: TokenClient,
        /// Where the person agrees.
        authorization_endpoint: String,
        /// Who must have answered, where the answer says it (RFC 9207).
        issuer: Option<String>,
    },
}

/// Whose a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// One for everybody.
    Upstream,
    /// Each person has their own.
    Person,
}

/// What Prudence is to an upstream's authorization server.
#[derive(Clone, Debug)]
pub struct TokenClient {
    /// Where tokens are to be had.
    pub token_endpoint: String,
    /// Prudence's name there.
    pub client_id: String,
    /// How it shows its secret, if it has one.
    pub secret_in: SecretIn,
    /// What it asks for.
    pub scopes: Vec<String>,
    /// For which server the tokens are (RFC 8707), if the authorization server wants to know.
    pub resource: Option<String>,
}

/// Where a client's secret stands (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretIn {
    /// In the header, with the client's name.
    Header,
    /// In the form.
    Form,
}

impl Scheme {
    /// Whose the credential is.
    #[must_use]
    pub fn per(&self) -> Per {
        match self {
            Self::ApiKey { per, .. } => *per,
            Self::ClientCredentials(_) => Per::Upstream,
            Self::AuthorizationCode { .. } => Per::Person,
        }
    }

    /// The client that gets tokens, if there is one.
    #[must_use]
    pub fn client(&self) -> Option<&TokenClient> {
        match self {
            Self::ApiKey { .. } => None,
            Self::ClientCredentials(client) | Self::AuthorizationCode { client, .. } => Some(client),
        }
    }
}
