//! Credentials by their shape, for the norm `steered`: a table of what issuers print in front of their keys, and one rule for
//! `password = something random`.
//!
//! It says which kinds it saw, never the secret; and it knows nothing of items.

/// What a stretch of text looks like, by the name under which it is reported.
struct Shape {
    name: &'static str,
    prefix: &'static str,
    /// Characters of the body that follow the prefix at least.
    body_min: usize,
    body: fn(u8) -> bool,
}

const fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

const fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

const fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

const fn shape(name: &'static str, prefix: &'static str, body_min: usize, body: fn(u8) -> bool) -> Shape {
    Shape { name, prefix, body_min, body }
}

const SHAPES: [Shape; 22] = [
    shape("aws access key id", "AKIA", 16, upper),
    shape("aws access key id", "ASIA", 16, upper),
    shape("github token", "ghp_", 30, alphanumeric),
    shape("github token", "gho_", 30, alphanumeric),
    shape("github token", "ghu_", 30, alphanumeric),
    shape("github token", "ghs_", 30, alphanumeric),
    shape("github token", "ghr_", 30, alphanumeric),
    shape("github token", "github_pat_", 30, word),
    shape("gitlab token", "glpat-", 16, word),
    shape("slack token", "xoxb-", 20, word),
    shape("slack token", "xoxp-", 20, word),
    shape("slack token", "xoxa-", 20, word),
    shape("slack token", "xapp-", 20, word),
    shape("model provider key", "sk-", 20, word),
    shape("payment provider key", "sk_live_", 16, alphanumeric),
    shape("payment provider key", "rk_live_", 16, alphanumeric),
    shape("google api key", "AIza", 30, word),
    shape("npm token", "npm_", 30, alphanumeric),
    shape("hugging face token", "hf_", 30, alphanumeric),
    shape("pypi token", "pypi-", 40, word),
    shape("sendgrid key", "SG.", 20, word),
    shape("age secret key", "AGE-SECRET-KEY-1", 40, upper),
];

/// Words in front of a value that say that it is secret.
const NAMES: [&str; 9] = ["password", "passwd", "passphrase", "pwd", "secret", "api_key", "api-key", "apikey", "token"];
/// Characters of a value after such a word.
const VALUE_CHARS_MIN: usize = 8;
/// Bits per character that a random value of that length has and a word has not, in thousandths.
const VALUE_MILLIBITS_MIN: usize = 2_750;
/// Bytes that are looked at.
pub const SECRET_BYTES_MAX: usize = 4 << 20;

/// The kinds of credentials that a text shows, by shape, each once, in order of name.
#[must_use]
pub fn secret_shapes(text: &str) -> Vec<&'static str> {
    let bytes = &text.as_bytes()[..text.len().min(SECRET_BYTES_MAX)];
    let mut kinds = std::collections::BTreeSet::new();
    let mut before = b' ';
    for (at, byte) in bytes.iter().enumerate() {
        let rest = &bytes[at..];
        if !before.is_ascii_alphanumeric() {
            match byte {
                b'e' if is_jwt(rest) => drop(kinds.insert("json web token")),
                b'-' if is_pem(rest) => drop(kinds.insert("private key")),
                _ => {}
            }
            for shape in SHAPES.iter().filter(|shape| rest.starts_with(shape.prefix.as_bytes())) {
                let body = rest[shape.prefix.len()..].iter().take_while(|byte| (shape.body)(**byte)).count();
                if body >= shape.body_min && rest[..shape.prefix.len() + body].iter().any(u8::is_ascii_digit) {
                    kinds.insert(shape.name);
                }
            }
        }
        if matches!(byte, b'=' | b':') && names_a_secret(&bytes[..at]) && is_random(&rest[1..]) {
            kinds.insert("password or key");
        }
        before = *byte;
    }
    kinds.into_iter().collect()
}

/// RFC 7468 §10 and §11, and the older labels.
fn is_pem(rest: &[u8]) -> bool {
    const LINE_BYTES_MAX: usize = 64;
    let line = &rest[..rest.len().min(LINE_BYTES_MAX)];
    line.strip_prefix(b"-----BEGIN ")
        .is_some_and(|label| label.windows(16).any(|end| end == b"PRIVATE KEY-----" || end == b"PRIVATE KEY BLOC"))
}

/// RFC 7515 §7.1: three parts of base64url, the first of which begins with `{"`.
fn is_jwt(rest: &[u8]) -> bool {
    let mut parts = rest.split(|byte| *byte == b'.');
    let mut part = |min: usize| {
        parts.next().map(|part| part.iter().take_while(|byte| word(**byte)).count()).is_some_and(|length| length >= min)
    };
    rest.starts_with(b"eyJ") && part(10) && part(10) && part(16)
}

fn names_a_secret(before: &[u8]) -> bool {
    const NAME_BYTES_MAX: usize = 16;
    let end = before.iter().rposition(|byte| !matches!(byte, b' ' | b'"' | b'\'' | b'`')).map_or(0, |at| at + 1);
    let name = before[end.saturating_sub(NAME_BYTES_MAX)..end].to_ascii_lowercase();
    NAMES.iter().any(|known| name.ends_with(known.as_bytes()))
}

fn is_random(after: &[u8]) -> bool {
    const VALUE_BYTES_MAX: usize = 128;
    let start = after.iter().take(4).position(|byte| !matches!(byte, b' ' | b'"' | b'\'' | b'`' | b'=')).unwrap_or(0);
    let value: Vec<u8> = after[start..]
        .iter()
        .copied()
        .take(VALUE_BYTES_MAX)
        .take_while(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b',' | b'<' | b'>' | b'&'))
        .collect();
    let kinds = [u8::is_ascii_digit as fn(&u8) -> bool, u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_punctuation];
    let mixed = kinds.iter().filter(|kind| value.iter().any(kind)).count() >= 2
        && value.iter().any(|byte| !byte.is_ascii_lowercase() && *byte != b'.');
    value.len() >= VALUE_CHARS_MIN
        && mixed
        && value.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_punctuation())
        && millibits(&value) >= VALUE_MILLIBITS_MIN
}

/// Shannon entropy of the characters, in thousandths of a bit each; whole numbers, so that it is the same everywhere.
fn millibits(value: &[u8]) -> usize {
    let mut counts = [0usize; 256];
    for byte in value {
        counts[usize::from(*byte)] += 1;
    }
    let log = |n: usize| {
        let floor = n.ilog2() as usize;
        // Linear between powers of two: off by less than 0.09 bit.
        floor * 1000 + ((n * 1000) >> floor) - 1000
    };
    let spread: usize = counts.iter().filter(|count| **count > 0).map(|count| count * log(*count)).sum();
    log(value.len().max(1)).saturating_sub(spread / value.len().max(1))
}
