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
    /// Where in `dense` white space stood, in ascending order: the ends of words, marked with [`MIXED`].
    gaps: Vec<u32>,
    /// Whether the word that has not ended may have more than small letters.
    mixed: bool,
}

/// Marks a gap behind a word that may have more than small letters.
const MIXED: u32 = 1 << 31;

/// What [`BREAK`] becomes, and nothing else does.
pub(super) const BREAK_BYTE: u8 = 0xFF;

/// Whether a byte of a normal form stands for a character outside ASCII.
pub(super) const fn is_other(byte: u8) -> bool {
    byte >= 0x80
}

/// Bytes that are looked at together: a place among them, and one more, fit into seven bits.
const CHUNK_BYTES: usize = 64;

/// Brings a text into normal form.
pub(super) fn normalise(text: &str) -> Normal {
    let mut normal = Normal { dense: Vec::with_capacity(text.len()), gaps: Vec::with_capacity(text.len() / 5), mixed: false };
    let mut rest = text;
    let mut folds = Folds::default();
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(rest.floor_char_boundary(CHUNK_BYTES));
        if chunk.is_ascii() {
            normal.extend_ascii(chunk.as_bytes());
        } else {
            normal.extend_unicode(chunk, &mut folds);
        }
        rest = behind;
    }
    normal
}

/// What an ASCII byte becomes: itself in lower case, with what it does to the text as bits.
const ASCII: [u16; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        let form = (byte as u8).to_ascii_lowercase();
        table[byte] = match form {
            b'a'..=b'z' => form as u16 | KEPT,
            0x21..=0x7E => form as u16 | KEPT | NO_LETTER,
            b' ' | b'\t'..=b'\r' => WHITE,
            _ => 0,
        };
        byte += 1;
    }
    table
};
const KEPT: u16 = 1 << 8;
const WHITE: u16 = 1 << 9;
const NO_LETTER: u16 = 1 << 10;

impl Normal {
    /// Characters and gaps are written always and counted when they are kept: a processor could not guess where words end.
    fn extend_ascii(&mut self, chunk: &[u8]) {
        let first = self.dense.len();
        self.dense.resize(first + CHUNK_BYTES, 0);
        let kept: &mut [u8; CHUNK_BYTES] =
            self.dense[first..].first_chunk_mut().expect("there are as many since the line before");
        let mut gaps = [0u8; CHUNK_BYTES];
        let (mut length, mut gap_count) = (0usize, 0usize);
        let mut mixed = self.mixed;
        for byte in chunk {
            let form = ASCII[usize::from(*byte % 128)];
            let is_white = form & WHITE != 0;
            kept[length % CHUNK_BYTES] = form as u8;
            length = length.wrapping_add(usize::from(form & KEPT != 0));
            gaps[gap_count % CHUNK_BYTES] = length as u8 | u8::from(mixed) << 7;
            gap_count = gap_count.wrapping_add(usize::from(is_white));
            mixed = (mixed | (form & NO_LETTER != 0)) & !is_white;
        }
        self.dense.truncate(first + length);
        let place = |gap: &u8| (first as u32).wrapping_add(u32::from(gap & 0x7F)) | u32::from(gap & 0x80) << 24;
        self.gaps.extend(gaps[..gap_count].iter().map(place));
        self.mixed = mixed;
    }

    fn extend_unicode(&mut self, chunk: &str, folds: &mut Folds) {
        self.mixed = true;
        for c in chunk.chars() {
            if let Some(form) = ASCII.get(c as usize) {
                match form & (WHITE | KEPT) {
                    WHITE => self.gap(),
                    KEPT => self.dense.push(*form as u8),
                    _ => {}
                }
                continue;
            }
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
        self.gaps.push(self.dense.len() as u32 | MIXED);
    }

    /// The words between the gaps, and of each whether it may have more than small letters.
    pub fn words(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut start = 0;
        self.gaps
            .iter()
            .copied()
            .chain([self.dense.len() as u32 | MIXED])
            .map(move |gap| {
                let end = (gap & !MIXED) as usize;
                (&self.dense[std::mem::replace(&mut start, end)..end], gap & MIXED != 0)
            })
            .filter(|(word, _)| !word.is_empty())
    }

    /// Whether as many characters stand together without a gap.
    pub fn has_word_of(&self, chars: usize) -> bool {
        let mut start = 0;
        let mut is_long = |end: usize| end.wrapping_sub(std::mem::replace(&mut start, end)) >= chars;
        self.gaps.iter().any(|gap| is_long((gap & !MIXED) as usize)) || is_long(self.dense.len())
    }

    /// The first or last characters.
    pub fn edge(&self, chars: usize, last: bool) -> &[u8] {
        let length = chars.min(self.dense.len());
        if last { &self.dense[self.dense.len() - length..] } else { &self.dense[..length] }
    }

    /// Adds the first or last characters of another one with nothing between: any word may go on there.
    pub fn join(&mut self, other: &Normal, chars: usize, last: bool) {
        let edge = other.edge(chars, last);
        let start = if last { other.dense.len() - edge.len() } else { 0 };
        let gap_at = |place: usize| other.gaps.partition_point(|gap| ((gap & !MIXED) as usize) < place);
        let gaps = &other.gaps[gap_at(start)..gap_at(start + edge.len() + 1)];
        let at = self.dense.len();
        self.gaps.extend(gaps.iter().map(|gap| ((at + (gap & !MIXED) as usize - start) as u32) | MIXED));
        self.dense.extend_from_slice(edge);
    }

    /// Forgets everything but its memory.
    pub fn clear(&mut self) {
        self.dense.clear();
        self.gaps.clear();
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
