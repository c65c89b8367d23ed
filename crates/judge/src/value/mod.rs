//! Consequential values: which family a kind belongs to, and the form in which two ways of writing are the same value (semantics §4).
//!
//! `Ann <ANN@Example.org>` and `ann+list@example.org` reach one mailbox, `DE89 3704 …` and `de893704…` are one account, `bücher.example`
//! and `xn--bcher-kva.example` one host. What is equal here is the same value; what differs is another one, so that no way of writing makes a
//! foreign value look like one that the requester named.
//!
//! It refuses to know: tasks, items, people, and who chose a value.

mod found;
#[cfg(test)]
mod tests;
mod words;

pub use found::{links_in, values_in};
pub(crate) use words::words_in;
pub use words::{Words, follow_what_is_written};

use std::borrow::Cow;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;
use url::Url;

/// Bytes of a value that are compared. A longer one equals nothing.
pub const VALUE_BYTES_MAX: usize = 4_096;

/// People and mailboxes.
pub const PERSON: &str = "person";
/// Accounts that money goes to.
pub const ACCOUNT: &str = "account";
/// Addresses of the web.
pub const LINK: &str = "link";
/// Telephone numbers.
pub const PHONE: &str = "phone";
/// What a new thing is to be called.
pub const TITLE: &str = "title";
/// Passwords, keys and other credentials.
pub const SECRET: &str = "secret";

/// The family of a kind of value: kinds of one family name the same sort of thing. A kind that is not known is a family of its own.
#[must_use]
pub fn family(kind: &str) -> Cow<'_, str> {
    let lower = if kind.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(kind.to_ascii_lowercase())
    } else {
        Cow::Borrowed(kind)
    };
    Cow::Borrowed(match lower.as_ref() {
        "person" | "recipient" | "email" | "mail_address" | "participant" | "attendee" | "user" | "member" | "reader" => PERSON,
        "account" | "iban" | "bank_account" => ACCOUNT,
        "link" | "url" | "uri" | "host" | "domain" | "website" => LINK,
        "phone" | "telephone" => PHONE,
        "title" | "filename" | "heading" => TITLE,
        "secret" | "password" | "credential" | "token" | "key" => SECRET,
        _ => return lower,
    })
}

/// A value by family and normal form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Normal {
    /// [`family`] of its kind.
    pub family: Arc<str>,
    /// What equal values share; empty where there is nothing to compare, which equals nothing.
    pub text: String,
}

/// Brings a value of this kind into its normal form.
#[must_use]
pub fn normal(kind: &str, text: &str) -> Normal {
    let family = family(kind);
    let text = match family.as_ref() {
        _ if text.len() > VALUE_BYTES_MAX => String::new(),
        LINK => link(text).unwrap_or_else(|| name(text)),
        ACCOUNT => account(text).unwrap_or_else(|| name(text)),
        PHONE => phone(text).unwrap_or_else(|| name(text)),
        // Every letter of a secret counts.
        SECRET => text.to_owned(),
        PERSON => mailbox(text).or_else(|| account(text)).unwrap_or_else(|| name(text.trim().trim_start_matches('@'))),
        _ => mailbox(text).unwrap_or_else(|| name(text)),
    };
    Normal { family: Arc::from(family.as_ref()), text }
}

/// A mail address (RFC 5321) without display name, tag and the case of its letters, its domain as registered (IDNA); `None` when it is none.
fn mailbox(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("mailto:").unwrap_or(text);
    let address = match (text.rfind('<'), text.strip_suffix('>')) {
        (Some(open), Some(inner)) => &inner[open + 1..],
        (Some(_), None) | (None, _) => text,
    };
    let (local, domain) = address.trim().rsplit_once('@')?;
    let is_odd = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '@' | ',' | ';' | '"' | '(' | ')');
    if local.is_empty() || local.contains(is_odd) || !domain.contains('.') {
        return None;
    }
    let host = host(domain)?;
    let local: String = local.nfkc().flat_map(char::to_lowercase).collect();
    let mailbox = local.split('+').next().filter(|own| !own.is_empty()).unwrap_or(&local);
    Some(format!("{mailbox}@{host}"))
}

/// A host as it is registered: lower case, IDNA in its ASCII form.
fn host(text: &str) -> Option<String> {
    let text = text.trim_end_matches('.');
    match url::Host::parse(text).ok()? {
        url::Host::Domain(domain) if !domain.is_empty() => Some(domain),
        url::Host::Domain(_) => None,
        url::Host::Ipv4(address) => Some(address.to_string()),
        url::Host::Ipv6(address) => Some(format!("[{address}]")),
    }
}

/// An address of the web without what changes nothing: `http` and `https` are one, a path's last slash is none. Any other scheme is kept.
fn link(text: &str) -> Option<String> {
    let url = parse_link(text)?;
    let Some(host) = url.host_str() else { return Some(url.as_str().to_owned()) };
    let mut normal = String::new();
    if !matches!(url.scheme(), "http" | "https") {
        normal.push_str(url.scheme());
        normal.push_str("://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        normal.push_str(url.username());
        normal.push(':');
        normal.push_str(url.password().unwrap_or_default());
        normal.push('@');
    }
    normal.push_str(host.trim_end_matches('.'));
    if let Some(port) = url.port() {
        normal.push(':');
        normal.push_str(&port.to_string());
    }
    normal.push_str(url.path().trim_end_matches('/'));
    if let Some(query) = url.query().filter(|query| !query.is_empty()) {
        normal.push('?');
        normal.push_str(query);
    }
    Some(normal)
}

fn parse_link(text: &str) -> Option<Url> {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    // `www.example.org:8080/x` has no scheme, whatever a URL parser takes for one.
    match text.split_once(':') {
        Some((_, rest)) if rest.starts_with("//") => Url::parse(text).ok(),
        Some(("data" | "javascript" | "mailto" | "file" | "tel", _)) => Url::parse(text).ok(),
        Some(_) | None => {
            Url::parse(&format!("https://{text}")).ok().filter(|url| url.host_str().is_some_and(|host| host.contains('.')))
        }
    }
}

/// The host that a link leads to, as it is registered.
#[must_use]
pub fn host_of(text: &str) -> Option<String> {
    parse_link(text)?.host_str().map(|host| host.trim_end_matches('.').to_owned())
}

/// Whether a link tells its host nothing but where it leads: no query, no name before the host.
pub(crate) fn is_bare(text: &str) -> bool {
    parse_link(text)
        .is_some_and(|url| url.query().is_none_or(str::is_empty) && url.username().is_empty() && url.password().is_none())
}

/// The domain of a mail address, as it is registered.
pub(crate) fn mail_domain(text: &str) -> Option<String> {
    mailbox(text).and_then(|mailbox| mailbox.rsplit_once('@').map(|(_, domain)| domain.to_owned()))
}

/// An account number as letters and digits (ISO 13616-1 prints it in groups); `None` when it does not look like one.
fn account(text: &str) -> Option<String> {
    let text = text.trim();
    let text = text.strip_prefix("IBAN").or_else(|| text.strip_prefix("iban")).unwrap_or(text).trim_start_matches([':', ' ']);
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '\u{a0}' | '\u{202f}')).collect();
    let digits = plain.bytes().filter(u8::is_ascii_digit).count();
    let fits = (8..=34).contains(&plain.len()) && plain.bytes().all(|byte| byte.is_ascii_alphanumeric()) && digits >= 6;
    fits.then(|| plain.to_ascii_uppercase())
}

/// A telephone number as its digits (ITU-T E.164 allows fifteen); `None` when it is none.
fn phone(text: &str) -> Option<String> {
    let text = text.trim();
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')' | '/');
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.strip_prefix("00").map_or(digits.clone(), str::to_owned);
    (text.chars().all(is_part) && (5..=15).contains(&digits.len())).then_some(digits)
}

/// A name: its words in compatibility form and lower case, without what stands around them.
fn name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for word in text.split_whitespace().filter_map(word) {
        if !name.is_empty() {
            name.push(' ');
        }
        name.push_str(&word);
    }
    name
}

/// One word of a name or a text; `None` when it is punctuation alone.
fn word(text: &str) -> Option<String> {
    if text.is_ascii() {
        let word = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let word = word.strip_suffix("'s").unwrap_or(word);
        return (!word.is_empty()).then(|| word.to_ascii_lowercase());
    }
    let folded: String = text.nfkc().flat_map(char::to_lowercase).filter(|c| !is_invisible(*c)).collect();
    let word = folded.trim_matches(|c: char| !c.is_alphanumeric());
    let word = word.strip_suffix("'s").or_else(|| word.strip_suffix("\u{2019}s")).unwrap_or(word);
    (!word.is_empty()).then(|| word.to_owned())
}

/// Characters that nobody sees: two names that differ in them look the same, and are the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
        || c.is_control()
}
