//! Fingerprints of texts: numbers that two texts share when they share 24 characters, and that say nothing to somebody without the key.
//!
//! It knows characters and numbers, not what they are evidence of.

#![allow(
    deprecated,
    reason = "`SipHasher` is std's only keyed hash with a specified result (SipHash-2-4); it is deprecated in favour of unkeyed ones"
)]

use std::hash::{Hasher, SipHasher};

use sha2::{Digest, Sha256};

use super::{COPY_CHARS_MIN, GRAM_CHARS};

/// Length of the sub-grams that choose a gram.
const CHOOSER_CHARS: usize = 5;
/// Consecutive grams of which at least one is chosen.
const WINDOW_GRAMS: usize = COPY_CHARS_MIN - GRAM_CHARS + 1;
/// Sub-grams in one window of 24 characters.
const CHOOSERS: usize = COPY_CHARS_MIN - CHOOSER_CHARS + 1;
/// Characters at the start of a short whole that are looked for before all of it is.
pub(super) const HEAD_CHARS: usize = 6;

// INVARIANT: the sub-gram at offset x of a window chooses the gram at x mod WINDOW_GRAMS. Two windows that see the same sub-gram as
// their smallest then agree on the gram (mod-sampling), which needs the length of both to agree modulo the window.
const _: () = assert!((GRAM_CHARS - CHOOSER_CHARS).is_multiple_of(WINDOW_GRAMS));

/// A sub-gram, packed.
const CHOOSER_MASK: u64 = (1 << (8 * CHOOSER_CHARS)) - 1;

/// The numbers that a key stands for.
#[derive(Clone)]
pub(super) struct Schedule {
    sip: (u64, u64),
    chooser: u64,
    pub id: u32,
}

/// What a hash is of: the same characters in another role have another hash.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Copy = 0,
    Token = 1,
    Whole = 2,
}

impl Schedule {
    pub fn new(key: [u8; 16]) -> Self {
        let number = |name: &[u8], index: u8| {
            let digest = Sha256::new()
                .chain_update(b"prudence content v1 ")
                .chain_update(name)
                .chain_update([index])
                .chain_update(key)
                .finalize();
            u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
        };
        Self {
            sip: (number(b"sip", 0), number(b"sip", 1)),
            chooser: number(b"chooser", 0) | 1,
            id: u32::try_from(number(b"id", 0) >> 32).unwrap_or_default(),
        }
    }

    /// The hash of some normalised characters in a role.
    pub fn hash(&self, role: Role, chars: &[u8]) -> u64 {
        let mut hasher = SipHasher::new_with_keys(self.sip.0, self.sip.1 ^ role as u64);
        hasher.write(chars);
        hasher.finish()
    }

    /// A weak hash of the first characters of a short text, so that most places need no strong one.
    pub fn head(&self, chars: &[u8; HEAD_CHARS]) -> u16 {
        let packed = chars.iter().fold(0u64, |packed, c| packed << 8 | u64::from(*c));
        (packed.wrapping_mul(self.chooser) >> 48) as u16
    }

    /// The fingerprints of all chosen grams, in the order of the text; neighbours are never the same gram.
    ///
    /// Any 24 characters in a row contain one that is chosen by them alone, wherever they stand: that is the guarantee. Winnowing
    /// (Schleimer, Wilkerson, Aiken 2003) with mod-sampling (Groot Koerkamp, Pibiri 2024) as the choice: 5 of 21 grams are
    /// kept instead of 1 of 3, with the same guarantee. Chosen first and hashed afterwards: either loop is without a branch that
    /// a processor would have to guess.
    pub fn fingerprints(&self, chars: &[u8], places: &mut Vec<u32>, prints: &mut Vec<u64>) {
        self.choose(chars, places);
        prints.extend(places.iter().map(|place| {
            let gram: &[u8; GRAM_CHARS] = chars[*place as usize..].first_chunk().expect("a gram is chosen within its window");
            self.hash(Role::Copy, gram)
        }));
    }

    /// Where the chosen grams begin.
    ///
    /// The least sub-gram of each window, by the method of van Herk (1992): in blocks as long as a window, whose least is that of
    /// the end of one block or of the beginning of the next.
    fn choose(&self, chars: &[u8], places: &mut Vec<u32>) {
        places.clear();
        let Some(windows) = (chars.len() + 1).checked_sub(COPY_CHARS_MIN).filter(|windows| *windows > 0) else { return };
        places.reserve(windows / 3);
        let mut chosen = u32::MAX;
        let mut packed = chars[..CHOOSER_CHARS - 1].iter().fold(0u64, |packed, c| packed << 8 | u64::from(*c));
        // The least of each end of the block before, and where.
        let mut ends = [(u64::MAX, 0u32); CHOOSERS];
        let mut block = [0u64; CHOOSERS];
        let mut first = 0u32;
        for fresh in chars[CHOOSER_CHARS - 1..].chunks(CHOOSERS) {
            let (mut least, mut least_at) = (u64::MAX, 0u32);
            for ((at, c), order) in (0u32..).zip(fresh).zip(&mut block) {
                packed = (packed << 8 | u64::from(*c)) & CHOOSER_MASK;
                // Less than `u64::MAX`, which stands for nothing.
                *order = packed.wrapping_mul(self.chooser) >> 1;
                // Of equals the first one counts, in this loop and in the next: else the choice would depend on the place.
                (least, least_at) = if *order < least { (*order, at) } else { (least, least_at) };
                // From here on in units of the block before, where the window begins: at its offset `start`.
                let start = at + 1;
                let (end, end_at) = ends.get(start as usize).copied().unwrap_or((u64::MAX, 0));
                let offset = if end <= least { end_at - start } else { least_at + CHOOSERS as u32 - start };
                let place = (first + start).wrapping_sub(CHOOSERS as u32).wrapping_add(offset % WINDOW_GRAMS as u32);
                if place != chosen && first + start >= CHOOSERS as u32 {
                    chosen = place;
                    places.push(place);
                }
            }
            let mut end = (u64::MAX, 0);
            for at in (0..fresh.len()).rev() {
                end = if block[at] <= end.0 { (block[at], at as u32) } else { end };
                ends[at] = end;
            }
            first += CHOOSERS as u32;
        }
    }
}
