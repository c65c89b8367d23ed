//! Parameters of requests, as forms and as queries write them. What they mean is not known here.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};

use super::error::Refusal;

/// The most parameters of one request.
const PARAMETERS_MAX: usize = 64;
/// The longest query, in bytes. Longer requests are pushed.
pub const QUERY_BYTES_MAX: usize = 12 << 10;
/// The largest body, in bytes.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// Parameters, each at most once (RFC 6749 §3.1 and §3.2); one without a value is none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form(BTreeMap<String, String>);

/// Names only: values may be secrets.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Form {
    /// Reads a query, or the body of a form.
    ///
    /// # Errors
    /// When a parameter stands there twice, or there are too many.
    pub fn parse(text: &[u8]) -> Result<Form, Refusal> {
        let mut form = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if form.len() >= PARAMETERS_MAX {
                return Err(Refusal::Request(format!("expected at most {PARAMETERS_MAX} parameters")));
            }
            if form.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                let shown: String = name.chars().take(32).collect();
                // RFC 8707 §2 lets it be there several times, for several resources; there is one here.
                return Err(if name == "resource" {
                    Refusal::Target
                } else {
                    Refusal::Request(format!("the parameter '{shown}' is there twice"))
                });
            }
        }
        form.retain(|_, value| !value.is_empty());
        Ok(Form(form))
    }

    /// Reads the body of a request that must be a form.
    ///
    /// # Errors
    /// When it is something else, or as [`Form::parse`].
    pub fn body(headers: &HeaderMap, body: &[u8]) -> Result<Form, Refusal> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Refusal::Request("expected a body of type application/x-www-form-urlencoded".to_owned()));
        }
        Form::parse(body)
    }

    /// A parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that has to be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn demand(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::Request(format!("expected the parameter '{name}'")))
    }

    /// Whether it is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Whether a character shows as itself: none that turns the direction of writing, hides, or takes no room. People decide by what they see, and
/// what they do not see would count as their word all the same.
#[must_use]
pub fn is_plain(c: char) -> bool {
    let is_hidden = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !is_hidden && !c.is_control()
}
