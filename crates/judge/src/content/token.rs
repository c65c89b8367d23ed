//! Short sensitive values: which words and number groups of a text are worth remembering exactly.
//!
//! Two sides that are unequal on purpose. An item offers only what has the shape of an account, card or telephone number, an id, an e-mail
//! address or a secret; never plain words, dates, times, years, prices or numbers under six digits. What leaves is taken apart in
//! every way in which such a value may be written (grouped by spaces, dashes, dots), because only what an item offered can match.
//!
//! It knows shapes, not keys, items or meanings.

use super::normal::is_other;

/// Digits that a number needs to be worth remembering.
const NUMBER_DIGITS_MIN: usize = 6;
/// Characters of the longest token, folded.
const TOKEN_CHARS_MAX: usize = 128;
/// Characters of a value that is named as a secret.
const VALUE_CHARS_MIN: usize = 6;
/// Characters of the longest number that is written in groups (an IBAN).
const NUMBER_CHARS_MAX: usize = 34;
/// Groups of one number written with spaces (an IBAN of 34 characters has 9).
const GROUPS_MAX: usize = 9;
/// Characters of an unbroken word of letters and digits from which on it is taken for a secret.
const SECRET_CHARS_MIN: usize = 16;
/// Standards whose numbers are common words.
const STANDARDS: [&str; 8] = ["iso", "rfc", "din", "iec", "ieee", "sha", "utf", "windows"];
/// What a secret is called where it is written down.
const SECRET_NAMES: [&str; 9] = ["password", "passwd", "passphrase", "passcode", "secret", "apikey", "token", "pwd", "pin"];

/// Which side is asking.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// An item that was read: only what has a sensitive shape.
    Item,
    /// What is about to leave: every reading.
    Outgoing,
}

/// Whether a byte stands in words that hold no value: letters, and the punctuation of prose.
pub(super) fn is_prose(byte: u8) -> bool {
    PROSE[usize::from(byte)]
}

const PROSE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let is = byte as u8;
        table[byte] = is.is_ascii_lowercase() || is_other(is) || matches!(is, b',' | b'.' | b'\'' | b'"');
        byte += 1;
    }
    table
};

/// Calls `found` with each token of a normalised text, given word by word (and of each whether it may have more than small letters),
/// folded to what is compared.
pub(super) fn tokens<'a>(side: Side, words: impl Iterator<Item = (&'a [u8], bool)>, mut found: impl FnMut(&[u8])) {
    let mut chain = Chain::default();
    let mut folded = Vec::new();
    let mut next: &[u8] = &[];
    for (word, mixed) in words {
        let before = std::mem::replace(&mut next, word);
        let plain = !mixed || word.iter().all(|byte| is_prose(*byte));
        let no_value = word.len() < VALUE_CHARS_MIN || (side == Side::Item && !mixed);
        // Most words are letters alone and end here.
        if plain && word.len() < SECRET_CHARS_MIN && (no_value || !is_secret_name(before)) {
            if !chain.groups.is_empty() {
                chain.push(side, word, &mut found);
            }
            continue;
        }
        if side == Side::Outgoing || is_secret_name(before) {
            let value = trim(word);
            if value.len() >= VALUE_CHARS_MIN && (side == Side::Outgoing || !value.iter().all(u8::is_ascii_lowercase)) {
                emit(value, &mut found);
            }
        }
        // `password=value` in one word.
        if let Some(at) = word.iter().position(|byte| matches!(byte, b'=' | b':')) {
            let value = trim(&word[at + 1..]);
            let secret = is_secret_name(&word[..at]) && !value.iter().all(u8::is_ascii_lowercase);
            if value.len() >= VALUE_CHARS_MIN && (side == Side::Outgoing || secret) {
                emit(value, &mut found);
            }
        }
        email(word, &mut found);
        chain.push(side, word, &mut found);
        for piece in word.split(|byte| !is_joined(*byte)) {
            if piece.iter().any(u8::is_ascii_digit) {
                identifier(side, trim(piece), &mut folded, &mut found);
            }
        }
    }
    chain.flush(side, &mut found);
}

fn emit(token: &[u8], found: &mut impl FnMut(&[u8])) {
    if !token.is_empty() && token.len() <= TOKEN_CHARS_MAX {
        found(token);
    }
}

fn is_joined(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/')
}

/// Without the punctuation around it.
fn trim(word: &[u8]) -> &[u8] {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || is_other(*byte);
    let (Some(start), Some(end)) = (word.iter().position(inner), word.iter().rposition(inner)) else { return &[] };
    &word[start..=end]
}

/// Whether the letters of a word end in a name of [`SECRET_NAMES`], whatever stands between them: `api_key:`, `db.password=`.
fn is_secret_name(word: &[u8]) -> bool {
    if word.len() < 3 || word.len() > 40 {
        return false;
    }
    let mut letters = word.iter().rev().filter(|byte| byte.is_ascii_lowercase());
    // The last two letters of the names: most words end here.
    if !matches!(
        (letters.next(), letters.next()),
        (Some(b'd'), Some(b'r' | b'w'))
            | (Some(b'e'), Some(b's' | b'd'))
            | (Some(b't' | b'y'), Some(b'e'))
            | (Some(b'n'), Some(b'e' | b'i'))
    ) {
        return false;
    }
    let letters: Vec<u8> = word.iter().copied().filter(u8::is_ascii_lowercase).collect();
    SECRET_NAMES.iter().any(|name| letters.ends_with(name.as_bytes()))
        && (letters.len() > 3 || word.last().is_some_and(|byte| matches!(byte, b':' | b'=') || byte.is_ascii_lowercase()))
}

fn digits(word: &[u8]) -> usize {
    word.iter().filter(|byte| byte.is_ascii_digit()).count()
}

fn identifier(side: Side, word: &[u8], folded: &mut Vec<u8>, found: &mut impl FnMut(&[u8])) {
    // Letters and digits are what a word is compared by.
    folded.clear();
    folded.extend(word.iter().filter(|byte| byte.is_ascii_alphanumeric()).take(TOKEN_CHARS_MAX + 1));
    if side == Side::Outgoing {
        if folded.len() >= NUMBER_DIGITS_MIN {
            emit(folded, found);
        }
    } else if is_identifier(word, folded) {
        emit(folded, found);
    }
    // Its parts on their own, so that `acc-99887766` is known by its number too.
    if folded.len() != word.len() {
        for atom in word.split(|byte| !byte.is_ascii_alphanumeric()) {
            let sensitive = match side {
                Side::Outgoing => atom.len() >= NUMBER_DIGITS_MIN && digits(atom) > 0,
                Side::Item => !is_moment(word) && !is_amount(word) && is_identifier(atom, atom),
            };
            if sensitive {
                emit(atom, found);
            }
        }
    }
}

fn is_identifier(word: &[u8], folded: &[u8]) -> bool {
    let count = digits(folded);
    if count == folded.len() {
        return count >= NUMBER_DIGITS_MIN && !is_moment(word) && !is_amount(word);
    }
    if folded.len() < 6 || count == 0 || is_moment(word) || is_amount(word) {
        return false;
    }
    let letters = folded.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
    if STANDARDS.iter().any(|name| name.as_bytes() == &folded[..letters]) {
        return false;
    }
    let joined = word.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let longest = word
        .split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|atom| digits(atom) > 0 && digits(atom) < atom.len())
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0);
    count >= 5 || (joined && count >= 4) || longest >= SECRET_CHARS_MIN
}

/// Dates, times and years, however joined; a version is of the same kind.
fn is_moment(word: &[u8]) -> bool {
    let mut atoms = word.split(|byte| !byte.is_ascii_alphanumeric());
    let number = |atom: &[u8]| -> Option<u32> { std::str::from_utf8(atom).ok()?.parse().ok() };
    let year = |atom: &[u8]| atom.len() == 4 && number(atom).is_some_and(|year| (1950..2036).contains(&year));
    let small = |atom: &[u8], max: u32| atom.len() <= 2 && number(atom).is_some_and(|n| n <= max);
    // 20260314, alone or before a time (20260314T101500).
    let compact = |atom: &[u8]| {
        atom.len() >= 8
            && year(&atom[..4])
            && small(&atom[4..6], 12)
            && small(&atom[6..8], 31)
            && (atom.len() == 8 || (atom[8] == b't' && atom[9..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'z')))
    };
    // Years and small numbers with words: `q3-2026`, `2025-2026`, `h1-final`.
    let casual = |atom: &[u8]| year(atom) || atom.len() <= 3 || compact(atom) || atom.iter().all(u8::is_ascii_lowercase);
    match (atoms.next(), atoms.next(), atoms.next(), atoms.clone().next()) {
        (Some(one), None, ..) => compact(one),
        // 2026-03-14, also with a time behind it (2026-03-14T10:15 ends at the colon).
        (Some(a), Some(b), Some(c), _) if year(a) && small(b, 12) => {
            let (day, time) = c.split_at(c.iter().take_while(|byte| byte.is_ascii_digit()).count());
            small(day, 31) && matches!(time.first(), None | Some(b't')) && atoms.all(|atom| atom.len() <= 4)
        }
        (Some(a), Some(b), Some(c), None) if year(c) => small(a, 31) && small(b, 31),
        (a, b, c, _) => [a, b, c].into_iter().flatten().chain(atoms).all(casual),
    }
}

/// `12345.67`, `1.234.567`: a number with a fraction or with thousands.
fn is_amount(word: &[u8]) -> bool {
    if word.iter().any(|byte| !byte.is_ascii_digit() && *byte != b'.') {
        return false;
    }
    let mut groups = word.split(|byte| *byte == b'.').map(<[u8]>::len);
    match (groups.next(), groups.next(), groups.clone().next()) {
        (Some(_), Some(fraction), None) => fraction <= 3,
        (Some(first), Some(second), Some(_)) => first <= 3 && second == 3 && groups.all(|group| group == 3),
        (_, None, _) | (None, ..) => false,
    }
}

/// `local@domain.tld`, without what stands around it.
fn email(word: &[u8], found: &mut impl FnMut(&[u8])) {
    let local = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'%');
    let domain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    for (at, _) in word.iter().enumerate().filter(|(_, byte)| **byte == b'@').take(8) {
        let start = word[..at].iter().rposition(|byte| !local(*byte)).map_or(0, |before| before + 1);
        let end = word[at + 1..].iter().position(|byte| !domain(*byte)).map_or(word.len(), |length| at + 1 + length);
        let address = trim(&word[start..end]);
        let dotted = address.iter().rposition(|byte| *byte == b'.') > address.iter().position(|byte| *byte == b'@');
        if dotted && address.contains(&b'@') {
            emit(address, found);
        }
    }
}

/// Groups in a row that may be one number: `DE89 3704 0044 0532 0130 00`, `(555) 010-4477`.
#[derive(Default)]
struct Chain {
    text: Vec<u8>,
    groups: Vec<Group>,
}

struct Group {
    /// Where in the text of the chain it ends.
    end: usize,
    /// Whether it began with `+` or `(`, as telephone numbers do.
    dialled: bool,
}

impl Chain {
    fn push(&mut self, side: Side, word: &[u8], found: &mut impl FnMut(&[u8])) {
        if (word.len() != 4 || self.groups.is_empty()) && !word.iter().any(u8::is_ascii_digit) {
            return self.flush(side, found);
        }
        let inner = trim(word);
        let whole = inner.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/' | b'(' | b')'));
        if !whole || inner.len() > 40 {
            return self.flush(side, found);
        }
        for (place, group) in inner.split(|byte| !byte.is_ascii_alphanumeric()).filter(|group| !group.is_empty()).enumerate() {
            self.text.extend_from_slice(group);
            let dialled = place == 0 && matches!(word.first(), Some(b'+' | b'('));
            self.groups.push(Group { end: self.text.len(), dialled });
        }
        let ends = word.last().is_some_and(|byte| matches!(byte, b',' | b';' | b'.'));
        if ends || self.groups.len() >= GROUPS_MAX * 8 {
            self.flush(side, found);
        }
    }

    fn flush(&mut self, side: Side, found: &mut impl FnMut(&[u8])) {
        let mut start = 0;
        for (first, group) in self.groups.iter().enumerate() {
            for last in first + 1..self.groups.len().min(first + GROUPS_MAX) {
                let token = &self.text[start..self.groups[last].end];
                if token.len() > NUMBER_CHARS_MAX {
                    break;
                }
                if token.len() >= NUMBER_DIGITS_MIN
                    && (side == Side::Outgoing
                        || is_account(start, &self.groups[first..=last], token)
                        || (group.dialled && is_telephone(token)))
                {
                    emit(token, found);
                }
            }
            start = group.end;
        }
        self.text.clear();
        self.groups.clear();
    }
}

fn is_telephone(token: &[u8]) -> bool {
    (9..=15).contains(&token.len()) && token.iter().all(u8::is_ascii_digit)
}

/// Numbers whose grouping or check digits give them away.
fn is_account(start: usize, groups: &[Group], token: &[u8]) -> bool {
    if !token.iter().all(u8::is_ascii_digit) {
        return (15..=NUMBER_CHARS_MAX).contains(&token.len()) && is_iban(token);
    }
    let ends = |known: &[usize]| groups.iter().map(|group| group.end - start).eq(known.iter().copied());
    // By where the groups end: 3-2-4, 3-3-4, 4-4-4-4, 4-6-5, 4-6-4.
    [&[3, 5, 9][..], &[3, 6, 10], &[4, 8, 12, 16], &[4, 10, 15], &[4, 10, 14]].into_iter().any(ends)
        || ((13..=19).contains(&token.len()) && is_luhn(token))
}

/// ISO/IEC 7812-1 Annex B.
fn is_luhn(token: &[u8]) -> bool {
    let sum: u32 = token
        .iter()
        .rev()
        .enumerate()
        .map(|(at, byte)| {
            let digit = u32::from(byte - b'0');
            if at % 2 == 0 { digit } else { digit / 5 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 13616-1: country, check digits, and the remainder by 97 is 1.
fn is_iban(token: &[u8]) -> bool {
    let [a, b, c, d, ..] = token else { return false };
    if !(a.is_ascii_lowercase() && b.is_ascii_lowercase() && c.is_ascii_digit() && d.is_ascii_digit()) {
        return false;
    }
    let rest = token[4..].iter().chain(&token[..4]).fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'a') + 10) % 97,
    });
    rest == 1
}
