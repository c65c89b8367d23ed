//! Other ways in which the same text may be written: what is about to leave, with one layer of encoding taken off.
//!
//! Decoding here is lenient on purpose: it looks for text behind an encoding in the middle of anything, at every alignment, so that
//! no strict parser fits. Nothing decoded here is ever used as a value.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};

use super::normal::BREAK;

/// How a text was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// As it stands (also over case, white space, Unicode form, or split over arguments).
    Plain,
    /// Behind JSON string escapes (RFC 8259 §7).
    Json,
    /// Behind percent-encoding (RFC 3986 §2.1), or `+` for spaces.
    Url,
    /// Behind character references of HTML.
    Html,
    /// Behind hexadecimal digits.
    Hex,
    /// Behind base64 (RFC 4648 §4 and §5).
    Base64,
}

/// Characters that a decoded stretch needs to be taken for text.
const STRETCH_CHARS_MIN: usize = 6;
/// The same for UTF-16, where random bytes look like text more often.
const STRETCH_UTF16_MIN: usize = 12;
/// Digits or letters of an encoded run that is worth decoding.
const RUN_MIN: usize = 8;

/// Takes one layer of encoding off a text; `None` when there is none.
type Layer = fn(&str) -> Option<String>;

/// Each way of taking off one layer, where it changes anything.
pub(super) fn unwrap_one(text: &str) -> impl Iterator<Item = (View, String)> {
    let layers: [(View, Layer); 6] = [
        (View::Json, json),
        (View::Url, percent),
        (View::Url, form),
        (View::Html, html),
        (View::Hex, hex),
        (View::Base64, base64_runs),
    ];
    layers.into_iter().filter_map(|(view, layer)| Some((view, layer(text)?)))
}

/// Whether a text has a character that begins an escape.
pub(super) fn has_escapes(text: &str) -> bool {
    text.bytes().any(|byte| matches!(byte, b'\\' | b'%' | b'+' | b'&'))
}

/// Bytes that a copy of 24 characters has at least before it is encoded (only ligatures and fractions have more characters than
/// bytes: the rest is reserve): what is encoded as one and split over arguments joins to a run of that many.
const SPLIT_BYTES_MIN: usize = 16;

/// How a run of digits of hexadecimal and of base64 goes on over the ends of a text, in digits.
#[derive(Clone, Copy, Default)]
pub(super) struct Runs {
    hex: Run,
    base64: Run,
}

#[derive(Clone, Copy, Default)]
struct Run {
    head: usize,
    tail: usize,
    /// Whether it is one from end to end.
    through: bool,
}

impl Run {
    fn of(text: &str, is_digit: impl Fn(u8) -> bool, goes_on: impl Fn(u8) -> bool) -> Self {
        let count = |bytes: &mut dyn Iterator<Item = u8>| {
            let (mut digits, mut through) = (0, true);
            for byte in bytes {
                if is_digit(byte) {
                    digits += 1;
                } else if !goes_on(byte) {
                    through = false;
                    break;
                }
            }
            (digits, through)
        };
        let ((head, through), (tail, _)) = (count(&mut text.bytes()), count(&mut text.bytes().rev()));
        Self { head, tail, through }
    }

    fn then(self, next: Self) -> Self {
        Self {
            head: if self.through { self.head + next.head } else { self.head },
            tail: if next.through { self.tail + next.tail } else { next.tail },
            through: self.through && next.through,
        }
    }
}

impl Runs {
    pub fn of(text: &str) -> Self {
        Self {
            hex: Run::of(text, |byte| nibble(byte).is_some(), is_between_hex),
            base64: Run::of(text, |byte| sextet(byte).is_some(), |byte| matches!(byte, b'\r' | b'\n')),
        }
    }

    /// Joined with what comes behind: whether the two make a run that may be an encoded copy, and the runs of both.
    pub fn then(self, next: Self) -> (bool, Self) {
        let is_long = self.hex.tail + next.hex.head >= 2 * SPLIT_BYTES_MIN
            || self.base64.tail + next.base64.head >= SPLIT_BYTES_MIN * 4 / 3;
        (is_long, Self { hex: self.hex.then(next.hex), base64: self.base64.then(next.base64) })
    }
}

/// Digits of a word that may itself be encoded, in an item.
pub(super) const WORD_MIN: usize = 24;

fn in_word(byte: u8) -> bool {
    sextet(byte).is_some() || byte == b'='
}

/// Whether a text has a word of [`WORD_MIN`] digits: such a word covers one of each so many places.
fn has_long_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    (WORD_MIN - 1..bytes.len()).step_by(WORD_MIN).any(|place| {
        let before = bytes[..place].iter().rev().take(WORD_MIN).take_while(|byte| in_word(**byte)).count();
        let after = bytes[place..].iter().take(WORD_MIN).take_while(|byte| in_word(**byte)).count();
        after > 0 && before + after >= WORD_MIN
    })
}

/// The runs of an item that are themselves encoded, decoded.
pub(super) fn decoded_runs(text: &str) -> Option<String> {
    if !has_long_word(text) {
        return None;
    }
    let encoded = |word: &str| {
        let bytes = word.as_bytes();
        bytes.len() >= WORD_MIN
            && bytes.iter().all(|byte| in_word(*byte))
            && bytes.iter().any(u8::is_ascii_digit)
            && bytes.iter().any(u8::is_ascii_alphabetic)
    };
    let mut runs = String::new();
    let boundary = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ':' | ';' | '<' | '>' | '(' | ')');
    let mut open = false;
    for word in text.split(boundary) {
        // The last line of a wrapped run is shorter.
        if encoded(word) || (open && word.len() >= 2 && word.bytes().all(in_word)) {
            runs.push_str(word);
            open = encoded(word);
        } else if !word.is_empty() && open | !runs.is_empty() {
            if !runs.ends_with(BREAK) {
                runs.push(BREAK);
            }
            open = false;
        }
    }
    if runs.is_empty() {
        return None;
    }
    let mut decoded = hex(&runs).unwrap_or_default();
    decoded.push(BREAK);
    decoded.push_str(&base64_runs(&runs).unwrap_or_default());
    (decoded.len() > BREAK.len_utf8()).then_some(decoded)
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn json(text: &str) -> Option<String> {
    text.contains('\\').then(|| {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let mut high: Option<u32> = None;
        while let Some(c) = rest.chars().next() {
            let unit = rest.strip_prefix("\\u").and_then(|digits| u32::from_str_radix(digits.get(..4)?, 16).ok());
            if let Some(unit) = unit {
                rest = &rest[6..];
                match (high.take(), unit) {
                    (_, 0xD800..=0xDBFF) => high = Some(unit),
                    (Some(first), 0xDC00..=0xDFFF) => {
                        out.extend(char::from_u32(0x10000 + ((first - 0xD800) << 10) + (unit - 0xDC00)))
                    }
                    _ => out.push(char::from_u32(unit).unwrap_or(BREAK)),
                }
                continue;
            }
            high = None;
            let (c, length) = match (c, rest.as_bytes().get(1)) {
                ('\\', Some(b'n' | b'r')) => ('\n', 2),
                ('\\', Some(b't' | b'b' | b'f')) => (' ', 2),
                ('\\', Some(b'"')) => ('"', 2),
                ('\\', Some(b'/')) => ('/', 2),
                ('\\', Some(b'\\')) => ('\\', 2),
                _ => (c, c.len_utf8()),
            };
            out.push(c);
            rest = &rest[length..];
        }
        out
    })
}

fn percent(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let bytes = text.as_bytes();
    let escape = |at: usize| Some(nibble(*bytes.get(at + 1)?)? << 4 | nibble(*bytes.get(at + 2)?)?);
    bytes.iter().enumerate().any(|(at, byte)| *byte == b'%' && escape(at).is_some()).then(|| {
        let mut out = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match escape(at).filter(|_| *byte == b'%') {
                Some(escaped) => {
                    out.push(escaped);
                    at += 3;
                }
                None => {
                    out.push(*byte);
                    at += 1;
                }
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    })
}

/// `+` for spaces, with percent-encoding or without.
fn form(text: &str) -> Option<String> {
    text.contains('+').then(|| {
        let spaced = text.replace('+', " ");
        percent(&spaced).unwrap_or(spaced)
    })
}

fn html(text: &str) -> Option<String> {
    const NAMED: [(&str, char); 14] = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("nbsp", ' '),
        ("ndash", '–'),
        ("mdash", '—'),
        ("rsquo", '’'),
        ("lsquo", '‘'),
        ("rdquo", '”'),
        ("ldquo", '“'),
        ("hellip", '…'),
        ("euro", '€'),
    ];
    const LETTERS: [(&str, u32); 8] = [
        ("grave", 0x300),
        ("acute", 0x301),
        ("circ", 0x302),
        ("tilde", 0x303),
        ("uml", 0x308),
        ("ring", 0x30A),
        ("cedil", 0x327),
        ("caron", 0x30C),
    ];
    fn reference(name: &str, out: &mut String) -> bool {
        let number = name.strip_prefix("#x").or(name.strip_prefix("#X")).map_or_else(
            || name.strip_prefix('#').and_then(|digits| digits.parse().ok()),
            |digits| u32::from_str_radix(digits, 16).ok(),
        );
        if let Some(c) = number.and_then(char::from_u32) {
            out.push(c);
        } else if let Some((_, c)) = NAMED.iter().find(|(known, _)| *known == name) {
            out.push(*c);
        } else if name == "szlig" {
            out.push('ß');
        } else if let Some((mark, letter)) =
            LETTERS.iter().find_map(|(mark, c)| Some((char::from_u32(*c)?, name.strip_suffix(mark)?)))
        {
            out.push_str(letter);
            out.push(mark);
        } else {
            return false;
        }
        true
    }
    text.contains('&').then(|| {
        const NAME_BYTES_MAX: usize = 10;
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('&') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let end = rest.bytes().take(NAME_BYTES_MAX).position(|byte| byte == b';');
            match end.and_then(|end| reference(rest.get(..end)?, &mut out).then_some(end)) {
                Some(end) => rest = &rest[end + 1..],
                None => out.push('&'),
            }
        }
        out.push_str(rest);
        out
    })
}

/// What may stand between the digits of hexadecimal.
fn is_between_hex(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'\\' | b':' | b'-' | b',' | b';' | b'%' | b'_' | b'x' | b'X')
}

/// Whether a text has a run of `min` digits, with what may stand between them.
fn has_hex(text: &str, min: usize) -> bool {
    let mut run = 0;
    text.bytes().any(|byte| {
        if nibble(byte).is_some() {
            run += 1;
        } else if !is_between_hex(byte) {
            run = 0;
        }
        run >= min
    })
}

fn hex(text: &str) -> Option<String> {
    // Two digits make a byte, and fewer bytes than that are no text.
    if !has_hex(text, 2 * STRETCH_CHARS_MIN) {
        return None;
    }
    let mut out = String::new();
    let mut run: Vec<u8> = Vec::new();
    let mut before = 0;
    let mut finish = |run: &mut Vec<u8>| {
        if run.len() >= RUN_MIN {
            for offset in 0..2 {
                let bytes: Vec<u8> = run[offset..].chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
                push_text(&bytes, &mut out);
            }
        }
        run.clear();
    };
    for byte in text.bytes() {
        match (byte, nibble(byte)) {
            (_, Some(digit)) => run.push(digit),
            // `0x` and `\x` stand before each byte.
            (b'x' | b'X', _) if before == b'0' => drop(run.pop()),
            (b'x' | b'X', _) if before == b'\\' => {}
            (b'\\' | b':' | b'-' | b',' | b';' | b'%' | b'_', _) => {}
            (white, _) if white.is_ascii_whitespace() => {}
            _ => finish(&mut run),
        }
        before = byte;
    }
    finish(&mut run);
    (!out.is_empty()).then_some(out)
}

/// The value of a digit of base64 in either alphabet, as the digit of the first.
fn sextet(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => Some(byte),
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        _ => None,
    }
}

/// Whether a short run is a word of some language: small letters, perhaps after a capital. What has a number, an address or a
/// secret behind it has more kinds of digits; what is long is no word.
fn is_word(run: &[u8]) -> bool {
    // As in `has_base64`.
    run.len() < SPLIT_BYTES_MIN * 4 / 3 && run[1..].iter().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'+' | b'/'))
}

/// Whether a text has a run that is worth decoding; may say yes where there is none.
fn has_base64(text: &str) -> bool {
    let (mut run, mut is_word) = (0, true);
    let (mut spaces, mut broken) = (false, false);
    text.bytes().any(|byte| {
        if sextet(byte).is_some() {
            if spaces && !broken {
                (run, is_word) = (0, true);
            }
            (spaces, broken) = (false, false);
            is_word &= run == 0 || !(byte.is_ascii_uppercase() || byte.is_ascii_digit());
            run += 1;
        } else if byte.is_ascii_whitespace() {
            spaces = true;
            broken |= matches!(byte, b'\r' | b'\n');
        } else {
            (run, is_word) = (0, true);
        }
        run >= if is_word { SPLIT_BYTES_MIN * 4 / 3 } else { RUN_MIN }
    })
}

fn base64_runs(text: &str) -> Option<String> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    if !has_base64(text) {
        return None;
    }
    let mut out = String::new();
    let mut run: Vec<u8> = Vec::new();
    let mut finish = |run: &mut Vec<u8>| {
        if run.len() >= RUN_MIN && !is_word(run) {
            for offset in 0..4 {
                let digits = &run[offset..];
                let digits = if digits.len() % 4 == 1 { &digits[..digits.len() - 1] } else { digits };
                push_text(&LENIENT.decode(digits).unwrap_or_default(), &mut out);
            }
        }
        run.clear();
    };
    // A line break belongs to a run, with the spaces around it; a space alone ends it, or all prose would be one run.
    let (mut spaces, mut broken) = (false, false);
    for byte in text.bytes() {
        match sextet(byte) {
            Some(digit) => {
                if spaces && !broken {
                    finish(&mut run);
                }
                (spaces, broken) = (false, false);
                run.push(digit);
            }
            None if byte.is_ascii_whitespace() => {
                spaces = true;
                broken |= matches!(byte, b'\r' | b'\n');
            }
            None => finish(&mut run),
        }
    }
    finish(&mut run);
    (!out.is_empty()).then_some(out)
}

/// Adds the stretches of some bytes that look like text: UTF-8, or UTF-16 in either order.
fn push_text(bytes: &[u8], out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        push_stretches(chunk.valid().chars(), |c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'), STRETCH_CHARS_MIN, out);
    }
    if bytes.len() < 2 * STRETCH_UTF16_MIN {
        return;
    }
    for (offset, decode) in
        [(0, u16::from_le_bytes as fn([u8; 2]) -> u16), (1, u16::from_le_bytes), (0, u16::from_be_bytes), (1, u16::from_be_bytes)]
    {
        let units = bytes[offset..].chunks_exact(2).map(|pair| decode([pair[0], pair[1]]));
        push_stretches(char::decode_utf16(units).map(|c| c.unwrap_or(BREAK)), likely_utf16, STRETCH_UTF16_MIN, out);
    }
}

/// Random pairs of bytes are characters too, of rare scripts: those do not count as text.
fn likely_utf16(c: char) -> bool {
    matches!(u32::from(c), 0x9 | 0xA | 0xD | 0x20..=0x7E | 0xA0..=0x11FF | 0x1E00..=0x27BF | 0x3000..=0x30FF | 0x4E00..=0x9FFF
        | 0xAC00..=0xD7A3 | 0xF900..=0xFDFF | 0xFE00..=0xFFEF | 0x1F000..=0x1FAFF | 0x20000..=0x2FFFF)
}

fn push_stretches(chars: impl Iterator<Item = char>, is_text: fn(char) -> bool, min: usize, out: &mut String) {
    let (mut start, mut count) = (out.len(), 0);
    let close = |out: &mut String, start: usize, count: usize| {
        if count < min {
            out.truncate(start);
        } else {
            out.push(BREAK);
        }
    };
    for c in chars {
        if is_text(c) && c != BREAK {
            out.push(c);
            count += 1;
        } else {
            close(out, start, count);
            (start, count) = (out.len(), 0);
        }
    }
    close(out, start, count);
}

/// The first or last `bytes` of a text, to a character.
pub(super) fn edge(text: &str, bytes: usize, last: bool) -> &str {
    if text.len() <= bytes {
        return text;
    }
    if last { &text[text.ceil_char_boundary(text.len() - bytes)..] } else { &text[..text.floor_char_boundary(bytes)] }
}
