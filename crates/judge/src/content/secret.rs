//! Credentials by their shape, for the norms `steered` and `secrets`: a table of what issuers print in front of their keys, and one rule for
//! `password = something random`.
//!
//! It says which kinds it saw, or hands each over to be hashed; it keeps no secret, and knows nothing of items.

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

/// Credentials of one text that are remembered.
pub(super) const SECRETS_MAX: usize = 1_000;
/// Bytes of the longest credential that is remembered in one piece.
const SECRET_LENGTH_MAX: usize = 8 << 10;
/// Bytes of the shortest one.
const SECRET_LENGTH_MIN: usize = 8;
/// Characters of a line of a key in PEM that tell it from any other.
const KEY_LINE_CHARS_MIN: usize = 40;
/// Bytes of a key in PEM that are looked at.
const KEY_BYTES_MAX: usize = 16 << 10;

/// What names a credential however it is written (`apiKey`, `api_key`, `db.password`). A bare `token` is not among them: what tools call so is a
/// page, an upload or a document as often as a credential.
const CREDENTIAL_NAMES: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "secretkey",
    "apikey",
    "accesskey",
    "privatekey",
    "signingkey",
    "accesstoken",
    "refreshtoken",
    "authtoken",
    "sessiontoken",
    "bearertoken",
];
/// The same of a variable of the environment (`GITHUB_TOKEN`).
const VARIABLE_NAMES: [&str; 3] = ["TOKEN", "KEY", "PWD"];
/// The longest such name that is looked at.
const CREDENTIAL_NAME_BYTES_MAX: usize = 64;

/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 64;
/// Bytes before and behind a place that decide whether it is looked at again.
const BEFORE_BYTES: usize = 2;
const BEHIND_BYTES: usize = 2;
const WINDOW_BYTES: usize = BEFORE_BYTES + BLOCK_BYTES + BEHIND_BYTES;

/// Which places of a block are worth a second look: few are. Computed for all of them alike, without a branch, because no processor could guess.
fn anchors(window: &[u8; WINDOW_BYTES]) -> [u8; BLOCK_BYTES] {
    let mut found = [0; BLOCK_BYTES];
    for (at, found) in found.iter_mut().enumerate() {
        let [before2, before, byte, next, next2] = [window[at], window[at + 1], window[at + 2], window[at + 3], window[at + 4]];
        let is = |byte: u8, other: u8| u8::from(byte == other);
        let fold = |byte: u8| byte | 0x20;
        let pair = |first: u8, second: u8| is(byte, first) & is(next, second);
        let is_word = u8::from(fold(before).wrapping_sub(b'a') < 26) | u8::from(before.wrapping_sub(b'0') < 10);
        let of_name = |byte: u8| {
            let byte = fold(byte);
            is(byte, b'd') | is(byte, b'e') | is(byte, b't') | is(byte, b'y') | is(byte, b'n')
        };
        let begins = pair(b'A', b'K')
            | pair(b'A', b'S')
            | pair(b'A', b'I')
            | pair(b'A', b'G')
            | pair(b'g', b'h')
            | (pair(b'g', b'i') & is(next2, b't'))
            | pair(b'g', b'l')
            | pair(b'x', b'o')
            | pair(b'x', b'a')
            | pair(b's', b'k')
            | pair(b'r', b'k')
            | pair(b'n', b'p')
            | pair(b'h', b'f')
            | pair(b'p', b'y')
            | pair(b'S', b'G')
            | (pair(b'e', b'y') & is(next2, b'J'))
            | pair(b'-', b'-')
            | (is(fold(byte), b'b') & is(fold(next), b'e') & is(fold(next2), b'a'));
        let is_under = is(byte, b'\n') & of_name(before);
        let says = pair(b'i', b's') & is(next2, b' ') & is(before, b' ') & of_name(before2);
        *found = (begins & (is_word ^ 1)) | is(byte, b'=') | is(byte, b':') | is_under | says;
    }
    found
}

/// Calls `found` with each place of a text that is worth a second look.
fn each_anchor(bytes: &[u8], mut found: impl FnMut(usize)) {
    for start in (0..bytes.len()).step_by(BLOCK_BYTES) {
        let mut window = [b' '; WINDOW_BYTES];
        let (from, to) = (start.saturating_sub(BEFORE_BYTES), bytes.len().min(start + BLOCK_BYTES + BEHIND_BYTES));
        let offset = BEFORE_BYTES - (start - from);
        window[offset..offset + to - from].copy_from_slice(&bytes[from..to]);
        let block = anchors(&window);
        for (eight, places) in block.as_chunks::<8>().0.iter().enumerate() {
            let mut places = u64::from_le_bytes(*places);
            while places != 0 {
                let at = start + 8 * eight + places.trailing_zeros() as usize / 8;
                places &= places - 1;
                if at < bytes.len() {
                    found(at);
                }
            }
        }
    }
}

/// Whether a field of this name holds a credential.
#[must_use]
pub fn names_credential(name: &str) -> bool {
    if name.len() > CREDENTIAL_NAME_BYTES_MAX || !ends_as_a_name(name.as_bytes()) {
        return false;
    }
    let plain = || name.bytes().rev().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase());
    let ends_in = |known: &&str| known.bytes().rev().eq(plain().take(known.len()));
    let is_variable = || {
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
            && VARIABLE_NAMES.iter().any(|known| name.strip_suffix(known).is_some_and(|rest| rest.ends_with('_')))
            && !name.ends_with("PAGE_TOKEN")
            && !name.ends_with("PUBLIC_KEY")
    };
    CREDENTIAL_NAMES.iter().any(ends_in) || is_variable()
}

/// Whether it ends as names of credentials do, which few words do.
fn ends_as_a_name(name: &[u8]) -> bool {
    const LAST_TWO: [&[u8; 2]; 6] = [b"rd", b"wd", b"se", b"et", b"ey", b"en"];
    name.last_chunk::<2>().is_some_and(|last| LAST_TWO.iter().any(|known| known.eq_ignore_ascii_case(last)))
}

/// Calls `found` with each credential that a text shows, as it stands there, at most [`SECRETS_MAX`] times: well-known shapes, keys in PEM
/// line by line, and what is random behind a name that says so. What merely looks random (an id, a hash, a UUID) is none.
pub(super) fn each_secret(text: &str, mut found: impl FnMut(&[u8])) {
    let bytes = &text.as_bytes()[..text.len().min(SECRET_BYTES_MAX)];
    let mut count = 0;
    let mut one = |secret: &[u8]| {
        let secret = trimmed(secret);
        if (SECRET_LENGTH_MIN..=SECRET_LENGTH_MAX).contains(&secret.len()) && count < SECRETS_MAX {
            count += 1;
            found(secret);
        }
    };
    each_anchor(bytes, |at| {
        let (before, rest) = bytes.split_at(at);
        let after = match rest[0] {
            b'=' | b':' => is_named(name_before(before)).then(|| &rest[1..]),
            b'\n' => is_named_line(before).then(|| &rest[1..]),
            b'i' => is_named(name_before(before)).then(|| &rest[2..]),
            b'-' => {
                if before.last() != Some(&b'-') && is_pem(rest) {
                    key_lines(rest, &mut one);
                }
                None
            }
            _ => {
                begins(rest, &mut one);
                None
            }
        };
        if let Some(after) = after.filter(|after| is_random(after)) {
            one(value(after));
        }
    });
}

/// Calls `found` with the credential that begins here, if one does.
fn begins(rest: &[u8], found: &mut impl FnMut(&[u8])) {
    for shape in SHAPES.iter().filter(|shape| rest.starts_with(shape.prefix.as_bytes())) {
        let body = rest[shape.prefix.len()..].iter().take_while(|byte| (shape.body)(**byte)).count();
        let whole = &rest[..shape.prefix.len() + body];
        if body >= shape.body_min && whole.iter().any(u8::is_ascii_digit) {
            found(whole);
        }
    }
    if is_jwt(rest) {
        let length = rest.iter().take_while(|byte| word(**byte) || **byte == b'.').count();
        found(&rest[..length]);
    }
    const BEARER: usize = "bearer ".len();
    if rest.get(..BEARER).is_some_and(|word| word.eq_ignore_ascii_case(b"bearer ")) && is_random(&rest[BEARER - 1..]) {
        found(value(&rest[BEARER - 1..]));
    }
}

/// Calls `found` with everything in a text that could be a credential which was seen somewhere: each run of characters that one can have, and its
/// parts between what joins it to others (`user:secret@host`, `key=secret`).
pub(super) fn each_candidate(text: &str, mut found: impl FnMut(&[u8])) {
    const JOINTS_MAX: usize = 8;
    let is_joint = |byte: &u8| {
        matches!(byte, b'=' | b':' | b'/' | b'@' | b'?' | b';' | b'|' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'\\')
    };
    for run in text.as_bytes().split(|byte| !is_value(*byte)) {
        let mut one = |candidate: &[u8]| {
            let candidate = trimmed(candidate);
            if (SECRET_LENGTH_MIN..=SECRET_LENGTH_MAX).contains(&candidate.len()) {
                found(candidate);
            }
        };
        one(run);
        let joints: Vec<usize> = run.iter().enumerate().filter(|(_, byte)| is_joint(byte)).map(|(at, _)| at).collect();
        let starts = || std::iter::once(0).chain(joints.iter().map(|at| at + 1));
        for (number, start) in starts().enumerate() {
            // Up to each of the joints that follow, as long as there are few; at least up to the next, and to the end.
            let ends = joints[number..].iter().copied().take(if joints.len() <= JOINTS_MAX { JOINTS_MAX } else { 1 });
            ends.chain([run.len()]).filter(|end| (start, *end) != (0, run.len())).for_each(|end| one(&run[start..end]));
        }
    }
}

/// Without the punctuation around it, on both sides of a comparison.
fn trimmed(text: &[u8]) -> &[u8] {
    let inner = u8::is_ascii_alphanumeric;
    let (Some(start), Some(end)) = (text.iter().position(inner), text.iter().rposition(inner)) else { return &[] };
    &text[start..=end]
}

/// The lines of a key in PEM: whoever takes the key takes them, in whatever they are wrapped.
fn key_lines(rest: &[u8], found: &mut impl FnMut(&[u8])) {
    let end = rest.len().min(KEY_BYTES_MAX);
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let body = rest[..end]
        .split(|byte| *byte == b'-')
        .find(|part| part.iter().filter(|byte| is_base64(byte)).count() >= KEY_LINE_CHARS_MIN);
    for line in body.unwrap_or_default().split(|byte| !is_base64(byte)) {
        // The `n` of an escaped line end is no part of the line.
        let line = line.strip_prefix(b"n").filter(|line| line.len() % 4 == 0).unwrap_or(line);
        if line.len() >= KEY_LINE_CHARS_MIN {
            found(line);
        }
    }
}

/// The word that stands before a place, behind quotes and spaces.
fn name_before(before: &[u8]) -> &[u8] {
    const BESIDE_MAX: usize = 4;
    let quotes = before.iter().rev().take(BESIDE_MAX).take_while(|byte| matches!(byte, b' ' | b'"' | b'\'' | b'`')).count();
    let before = &before[..before.len() - quotes];
    if !ends_as_a_name(before) {
        return &[];
    }
    let is_inner = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let length = before.iter().rev().take(CREDENTIAL_NAME_BYTES_MAX + 1).take_while(is_inner).count();
    &before[before.len() - length..]
}

/// Whether the line that ends here is such a word, and nothing else: a field of a result stands over its value.
fn is_named_line(before: &[u8]) -> bool {
    let name = name_before(before);
    !name.is_empty()
        && before.strip_suffix(name).is_some_and(|rest| rest.last().is_none_or(|byte| *byte == b'\n'))
        && is_named(name)
}

fn is_named(name: &[u8]) -> bool {
    !name.is_empty() && std::str::from_utf8(name).is_ok_and(names_credential)
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

/// What a value can be written in.
fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b',' | b'<' | b'>' | b'&')
}

/// The value behind a name and what joins them.
fn value(after: &[u8]) -> &[u8] {
    let start = after.iter().take(4).position(|byte| !matches!(byte, b' ' | b'"' | b'\'' | b'`' | b'=')).unwrap_or(0);
    let length = after[start..].iter().take(SECRET_LENGTH_MAX).take_while(|byte| is_value(**byte)).count();
    &after[start..start + length]
}

fn is_random(after: &[u8]) -> bool {
    const VALUE_BYTES_MAX: usize = 128;
    let value = value(after);
    let value = &value[..value.len().min(VALUE_BYTES_MAX)];
    let kinds = [u8::is_ascii_digit as fn(&u8) -> bool, u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_punctuation];
    let mixed = kinds.iter().filter(|kind| value.iter().any(kind)).count() >= 2
        && value.iter().any(|byte| !byte.is_ascii_lowercase() && *byte != b'.');
    value.len() >= VALUE_CHARS_MIN
        && mixed
        && value.iter().any(|byte| byte.is_ascii_digit() || byte.is_ascii_punctuation())
        && millibits(value) >= VALUE_MILLIBITS_MIN
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
