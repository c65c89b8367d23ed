//! Values that stand in a text: links, mail addresses, account numbers.
//!
//! Two texts are read this way: what was read (for which links nobody made up) and what is about to leave (for what it would lead somebody to).

use super::{ACCOUNT, LINK, PERSON, normal, parse_link};

/// Values of one text that are looked at.
const FOUND_MAX: usize = 4_096;
/// The longest stretch without white space that is taken for a link, in bytes.
const LINK_BYTES_MAX: usize = 2_048;
/// Endings of files: `minutes.docx` is no host.
const FILE_ENDINGS: [&str; 40] = [
    "pdf", "doc", "docx", "odt", "txt", "md", "rtf", "xls", "xlsx", "ods", "csv", "tsv", "ppt", "pptx", "odp", "png", "jpg",
    "jpeg", "gif", "svg", "webp", "zip", "gz", "tar", "html", "htm", "json", "xml", "yaml", "yml", "toml", "rs", "py", "js",
    "ts", "sh", "log", "ini", "cfg", "ics",
];

/// The links of a text: what has a scheme, begins with `www.`, or looks like a host of the web.
#[must_use]
pub fn links_in(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    // Whatever is a link has a dot or a scheme; most texts between white space have neither.
    for stretch in text.split(|c: char| {
        c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '|' | '{' | '}' | '\\' | '\u{201c}' | '\u{201d}')
    }) {
        if links.len() == FOUND_MAX {
            break;
        }
        if stretch.len() < 4 || stretch.len() > LINK_BYTES_MAX || !stretch.as_bytes().contains(&b'.') && !stretch.contains("://")
        {
            continue;
        }
        // In Markdown an address stands in brackets behind its text.
        for piece in stretch.split("](") {
            let piece = piece.trim_matches(|c: char| matches!(c, '(' | ')' | '[' | ']' | '\'' | ',' | ';' | '*' | '_' | '!'));
            let piece = before_next_sentence(piece.trim_end_matches(['.', ':', '?', ')', ']', '!']));
            if is_link(piece) {
                links.push(piece.to_owned());
            }
        }
    }
    links
}

/// `www.example.org.They` is a host, a full stop and a word: hosts are not written with capitals behind small letters.
fn before_next_sentence(text: &str) -> &str {
    let host_end = text.find(['/', '?', '#']).filter(|_| !text.contains("://")).unwrap_or(text.len());
    let mut labels = text[..host_end].match_indices('.').map(|(at, _)| at);
    let next = labels.find(|at| {
        let before = text[..*at].chars().next_back().is_some_and(char::is_lowercase);
        before && text[at + 1..].chars().next().is_some_and(char::is_uppercase)
    });
    if text.contains("://") { text } else { next.map_or(text, |at| &text[..at]) }
}

fn is_link(text: &str) -> bool {
    if text.contains("://") {
        return parse_link(text).is_some();
    }
    let end = text.find(['/', '?', '#', ':']).unwrap_or(text.len());
    let (host, has_path) = (&text[..end], end < text.len());
    let Some((before, top)) = host.rsplit_once('.') else { return false };
    if host.contains('@') || before.is_empty() || host.split('.').any(str::is_empty) {
        return false;
    }
    let is_letters = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
    let is_even = top.chars().all(char::is_lowercase) || top.chars().all(char::is_uppercase);
    let named = host.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("www."));
    let is_file = !has_path && FILE_ENDINGS.iter().any(|ending| top.eq_ignore_ascii_case(ending));
    let label = before.rsplit('.').next().unwrap_or(before);
    is_letters && (named || (is_even && !is_file && label.chars().count() >= 2)) && parse_link(text).is_some()
}

/// Links, mail addresses and account numbers of a text, each with its kind: what would lead whoever reads it somewhere.
#[must_use]
pub fn values_in(text: &str) -> Vec<(&'static str, String)> {
    let mut found: Vec<(&'static str, String)> = links_in(text).into_iter().map(|link| (LINK, link)).collect();
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '"' | '(' | ')' | '[' | ']' | '\'' | ':'))
        .filter(|word| !word.is_empty())
        .collect();
    for (at, word) in words.iter().enumerate() {
        if found.len() >= FOUND_MAX {
            break;
        }
        if word.contains('@') {
            let address = word.trim_end_matches(['.', '!', '?']);
            found.extend(Some((PERSON, address.to_owned())).filter(|_| normal(PERSON, address).text.contains('@')));
        } else if begins_account(word) {
            found.extend(account_at(&words[at..]).map(|account| (ACCOUNT, account)));
        }
    }
    found
}

/// Two letters and two digits: how an IBAN begins (ISO 13616-1), alone or as the first group.
fn begins_account(word: &str) -> bool {
    let [a, b, c, d, rest @ ..] = word.as_bytes() else { return false };
    a.is_ascii_alphabetic()
        && b.is_ascii_alphabetic()
        && c.is_ascii_digit()
        && d.is_ascii_digit()
        && rest.iter().all(u8::is_ascii_alphanumeric)
}

/// The account number that begins here, in one word or in groups of four.
fn account_at(words: &[&str]) -> Option<String> {
    let is_account = |text: &str| {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        (15..=34).contains(&text.len()) && digits >= 10
    };
    let first = words.first()?.trim_end_matches(['.', '!', '?']);
    if is_account(first) {
        return Some(first.to_owned());
    }
    let mut joined = first.to_owned();
    for word in words[1..].iter().take(8) {
        let group = word.trim_end_matches(['.', '!', '?']);
        if joined.len() % 4 != 0 || group.len() > 4 || !group.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            break;
        }
        joined.push_str(group);
    }
    is_account(&joined).then_some(joined)
}
