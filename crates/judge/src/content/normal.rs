//! The normal form in which texts are compared: what a person would still call the same text has the same normal form.
//!
//! Compatibility decomposition (NFKD), then case folded character by character, with white space, control and
//! default-ignorable characters dropped. NFKD and not NFKC, because composition reaches over the edge of a quotation (a mark
//! that follows would change the last quoted character) and decomposition does not; and it never makes a text shorter than
//! NFKC does, so that 24 normalised characters are 24 here. Lower, upper and lower case again, because `ß`, `ς` and `ı`
//! survive lower case alone, and `ẞ` survives upper case.
//!
//! It knows nothing of fingerprints, items or encodings.

use unicode_normalization::UnicodeNormalization;

/// Stands where text was left out, or between texts that do not belong together: kept by the normal form, part of no word,
/// token or encoding, so that nothing is found across it.
pub(super) const BREAK: char = '\u{FFFD}';

/// A text in normal form, twice: with and without its gaps.
#[derive(Default)]
pub(super) struct Normal {
    /// The normalised characters, nothing between them.
    pub dense: Vec<u32>,
    /// The same as bytes with one space for each gap, for tokens: a character outside ASCII is `OTHER`.
    pub spaced: Vec<u8>,
}

/// A character outside ASCII in [`Normal::spaced`].
pub(super) const OTHER: u8 = 0xFF;

/// Brings a text into normal form.
pub(super) fn normalise(text: &str) -> Normal {
    let mut normal = Normal { dense: Vec::with_capacity(text.len()), spaced: Vec::with_capacity(text.len()) };
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = ascii_prefix(rest);
        normal.extend_ascii(&rest.as_bytes()[..ascii]);
        rest = &rest[ascii..];
        // A mark reaches back to the character before it, so a stretch that is not ASCII starts there; but the ASCII character
        // itself is a base and decomposes to itself: it can be taken on its own, and only marks are ordered among themselves.
        let other = rest.char_indices().find(|(_, c)| c.is_ascii() && !dropped(*c)).map_or(rest.len(), |(at, _)| at);
        normal.extend_unicode(&rest[..other]);
        rest = &rest[other..];
    }
    normal
}

/// How many bytes at the start are ASCII.
fn ascii_prefix(text: &str) -> usize {
    let bytes = text.as_bytes();
    let words = bytes.chunks_exact(16).take_while(|chunk| chunk.is_ascii()).count() * 16;
    words + bytes[words..].iter().take_while(|byte| byte.is_ascii()).count()
}

/// What each ASCII byte becomes: itself in lower case, or 0 where it is dropped.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0x21_u8;
    while byte < 0x7F {
        table[byte as usize] = byte.to_ascii_lowercase();
        byte += 1;
    }
    table
};

impl Normal {
    fn extend_ascii(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match ASCII[usize::from(*byte & 0x7F)] {
                0 => self.gap(*byte == b' ' || byte.is_ascii_whitespace()),
                kept => {
                    self.dense.push(u32::from(kept));
                    self.spaced.push(kept);
                }
            }
        }
    }

    fn extend_unicode(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.gap(true);
            } else if c == BREAK {
                self.gap(true);
                self.spaced.extend([OTHER, b' ']);
            } else if !dropped(c) {
                let mut folded = fold(std::iter::once(c));
                match (folded.next(), folded.next()) {
                    (Some(ascii), None) if ascii.is_ascii() => self.spaced.push(ascii as u8),
                    (Some(_), _) => self.spaced.push(OTHER),
                    (None, _) => {}
                }
            }
        }
        // Dropped before decomposition as well: what stands between two marks would keep them from being ordered.
        self.dense.extend(fold(text.chars().filter(|c| !dropped(*c))).map(u32::from));
    }

    fn gap(&mut self, white: bool) {
        if white && self.spaced.last() != Some(&b' ') {
            self.spaced.push(b' ');
        }
    }
}

/// Decomposes and folds case, and drops what comes of it that does not count.
fn fold(chars: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    chars.nfkd().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase).filter(|c| !dropped(*c))
}

/// Whether the normal form leaves a character out.
fn dropped(c: char) -> bool {
    c.is_whitespace() || c.is_control() || ignorable(c)
}

/// Default_Ignorable_Code_Point of the Unicode character database (DerivedCoreProperties), and the interlinear annotation marks.
fn ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x202A..=0x202E
        | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x1BCA0..=0x1BCA3
        | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}
