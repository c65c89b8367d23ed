//! The normal form in which texts are compared: what a person would still call the same text has the same normal form.
//!
//! Compatibility decomposition (NFKD), then case folded character by character, with white space, control characters,
//! default-ignorable characters and combining marks dropped. Every character has its form whatever stands around it, so that a
//! quotation has the form that its text had: composition (NFKC) and the canonical order of marks reach over the edge of a
//! quotation, and marks can be strewn over a text as zero-width characters can. Lower, upper and lower case again, because `ß`, `ς`
//! and `ı` survive lower case alone, and `ẞ` survives upper case.
//!
//! It knows nothing of fingerprints, items or encodings.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// Stands where text was left out, or between texts that do not belong together: kept by the normal form, part of no word,
/// token or encoding, so that nothing is found across it.
pub(super) const BREAK: char = '\u{FFFD}';

/// A text in normal form, one byte for each character: ASCII is itself, any other character a byte of its own above. Two characters
/// that share such a byte make two texts equal that differ in that letter only; equal texts are always equal.
#[derive(Default)]
pub(super) struct Normal {
    /// The normalised characters, nothing between them.
    pub dense: Vec<u8>,
    /// Where in `dense` white space stood, in ascending order: the ends of words.
    pub gaps: Vec<u32>,
}

/// What [`BREAK`] becomes, and nothing else does.
pub(super) const BREAK_BYTE: u8 = 0xFF;

/// Whether a byte of a normal form stands for a character outside ASCII.
pub(super) const fn is_other(byte: u8) -> bool {
    byte >= 0x80
}

/// Brings a text into normal form.
pub(super) fn normalise(text: &str) -> Normal {
    let mut normal = Normal { dense: Vec::with_capacity(text.len()), gaps: Vec::with_capacity(text.len() / 5) };
    let mut rest = text;
    let mut folds = Folds::default();
    while !rest.is_empty() {
        let ascii = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
        normal.extend_ascii(&rest.as_bytes()[..ascii]);
        rest = &rest[ascii..];
        let other = rest.bytes().position(|byte| byte.is_ascii()).unwrap_or(rest.len());
        normal.extend_unicode(&rest[..other], &mut folds);
        rest = &rest[other..];
    }
    normal
}

/// Stands in [`ASCII`] for a byte that is dropped, and for one that is dropped and parts words.
const DROPPED: u8 = 0;
const WHITE: u8 = 1;

/// What each ASCII byte becomes: itself in lower case, or why it is left out.
const ASCII: [u8; 128] = {
    let mut table = [DROPPED; 128];
    let mut byte = 0x21_u8;
    while byte < 0x7F {
        table[byte as usize] = byte.to_ascii_lowercase();
        byte += 1;
    }
    table[b' ' as usize] = WHITE;
    table[b'\t' as usize] = WHITE;
    table[b'\n' as usize] = WHITE;
    table[b'\r' as usize] = WHITE;
    table[0x0C] = WHITE;
    table
};

impl Normal {
    fn extend_ascii(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match ASCII[usize::from(*byte & 0x7F)] {
                DROPPED => {}
                WHITE => self.gap(),
                kept => self.dense.push(kept),
            }
        }
    }

    fn extend_unicode(&mut self, text: &str, folds: &mut Folds) {
        for c in text.chars() {
            let fold = folds.get(c);
            if fold.parts {
                self.gap();
            }
            if usize::from(fold.length) < FOLD_BYTES {
                self.dense.extend_from_slice(&fold.bytes[..usize::from(fold.length)]);
            } else {
                self.dense.extend(folded(c).map(byte_of));
            }
            if c == BREAK {
                self.gap();
            }
        }
    }

    fn gap(&mut self) {
        let at = self.dense.len() as u32;
        if self.gaps.last() != Some(&at) {
            self.gaps.push(at);
        }
    }

    /// The words between the gaps.
    pub fn words(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.gaps
            .iter()
            .map(|gap| *gap as usize)
            .chain([self.dense.len()])
            .map(move |end| &self.dense[std::mem::replace(&mut start, end)..end])
    }

    /// The first or last characters, with the gaps in them.
    pub fn edge(&self, chars: usize, last: bool) -> (&[u8], impl Iterator<Item = u32>) {
        let length = chars.min(self.dense.len());
        let start = if last { self.dense.len() - length } else { 0 };
        let gaps = self.gaps.iter().map(move |gap| gap.wrapping_sub(start as u32)).filter(move |gap| *gap as usize <= length);
        (&self.dense[start..start + length], gaps)
    }

    /// Adds a piece of another one behind it, with nothing between them.
    pub fn join(&mut self, (dense, gaps): (&[u8], impl Iterator<Item = u32>)) {
        let at = self.dense.len() as u32;
        self.dense.extend_from_slice(dense);
        self.gaps.extend(gaps.map(|gap| at + gap));
    }
}

/// The byte that a normalised character becomes. Letters that are neighbours in Unicode never share one.
pub(super) fn byte_of(c: char) -> u8 {
    match u32::from(c) {
        ascii @ ..0x80 => ascii as u8,
        _ if c == BREAK => BREAK_BYTE,
        other => 0x80 + (other % 127) as u8,
    }
}

/// Bytes of a folded character that are kept; a longer one is folded anew each time.
const FOLD_BYTES: usize = 7;
/// Places for folded characters.
const FOLDS: usize = 256;

/// What a character becomes.
#[derive(Clone, Copy)]
struct Fold {
    c: char,
    bytes: [u8; FOLD_BYTES],
    length: u8,
    /// Whether it parts words.
    parts: bool,
}

/// Characters that were folded lately: a text has few different ones, and Unicode's tables are slow.
#[derive(Default)]
struct Folds(Vec<Fold>);

impl Folds {
    fn get(&mut self, c: char) -> Fold {
        if self.0.is_empty() {
            self.0 = vec![Fold { c: '\0', bytes: [0; FOLD_BYTES], length: 0, parts: false }; FOLDS];
        }
        let place = &mut self.0[u32::from(c) as usize % FOLDS];
        if place.c != c {
            let mut fold = Fold { c, bytes: [0; FOLD_BYTES], length: 0, parts: c.is_whitespace() || c == BREAK };
            for (slot, byte) in fold.bytes.iter_mut().zip(folded(c).map(byte_of)) {
                *slot = byte;
                fold.length += 1;
            }
            *place = fold;
        }
        *place
    }
}

/// Decomposes and folds case, and drops what comes of it that does not count.
pub(super) fn folded(c: char) -> impl Iterator<Item = char> {
    std::iter::once(c)
        .nfkd()
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .filter(|c| !dropped(*c))
}

/// Whether the normal form leaves a character out.
fn dropped(c: char) -> bool {
    c.is_whitespace() || c.is_control() || canonical_combining_class(c) != 0 || ignorable(c)
}

/// Default_Ignorable_Code_Point of the Unicode character database (DerivedCoreProperties), and the interlinear annotation marks.
fn ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x202A..=0x202E
        | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x1BCA0..=0x1BCA3
        | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
}
