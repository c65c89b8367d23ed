//! Fingerprints of texts: numbers that two texts share when they share 24 characters, and that say nothing to somebody without the key.
//!
//! It knows characters and numbers, not what they are evidence of.

use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher13;

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

/// What shifts all but a sub-gram out of the last eight characters.
const CHOOSER_SHIFT: usize = 64 - 8 * CHOOSER_CHARS;
/// The half of a weight that is not a place.
const WEIGHT_MASK: u64 = 0xFFFF_FFFF_0000_0000;

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
    Value = 3,
    Word = 4,
    Secret = 5,
}

impl Schedule {
    pub fn new(key: [u8; 16]) -> Self {
        let number = |name: &[u8], index: u8| {
            let digest = Sha256::new()
                .chain_update(b"prudence content v2 ")
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
    #[inline(always)]
    pub fn hash(&self, role: Role, chars: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.sip.0, self.sip.1 ^ role as u64).hash(chars)
    }

    /// A weak hash of the first characters of a short text, so that most places need no strong one.
    pub fn head(&self, chars: &[u8; HEAD_CHARS]) -> u16 {
        let packed = chars.iter().fold(0u64, |packed, c| packed << 8 | u64::from(*c));
        (packed.wrapping_mul(self.chooser) >> 48) as u16
    }

    /// Adds the fingerprints of all chosen grams, in the order of the text; neighbours are never the same gram.
    ///
    /// Any 24 characters in a row contain one that is chosen by them alone, wherever they stand: that is the guarantee. Winnowing
    /// (Schleimer, Wilkerson, Aiken 2003) with mod-sampling (Groot Koerkamp, Pibiri 2024) as the choice: 5 of 21 grams are
    /// kept instead of 1 of 3, with the same guarantee. Only what is chosen is hashed with a strong hash.
    pub fn fingerprints(&self, chars: &[u8], prints: &mut Vec<u64>) {
        if chars.len() < COPY_CHARS_MIN {
            return;
        }
        prints.reserve(chars.len() / 4);
        let (head, rest) = chars.split_at(CHOOSER_CHARS - 1);
        let mut chooser = Chooser {
            factor: self.chooser,
            packed: head.iter().fold(0, |packed, c| packed << 8 | u64::from(*c)),
            ends: [u64::MAX; CHOOSERS + 1],
            first: 0,
            chosen: u32::MAX,
        };
        let (blocks, last) = rest.as_chunks::<CHOOSERS>();
        for (places, count) in blocks.iter().map(|block| chooser.choose(block)) {
            self.grams(chars, &places[..count], prints);
        }
        let (places, count) = chooser.choose(last);
        self.grams(chars, &places[..count], prints);
    }

    fn grams(&self, chars: &[u8], places: &[u32], prints: &mut Vec<u64>) {
        prints.extend(places.iter().map(|place| {
            let gram: &[u8; GRAM_CHARS] = chars[*place as usize..].first_chunk().expect("a gram is chosen within its window");
            self.hash(Role::Copy, gram)
        }));
    }
}

/// Chooses grams by the least sub-gram of each window, by the method of van Herk (1992): in blocks as long as a window, whose least
/// is that of the end of one block or of the beginning of the next.
///
/// A sub-gram is weighed by a number with its place in the lower half, so that one comparison finds both, and of equal sub-grams
/// the first one counts wherever the window stands.
struct Chooser {
    factor: u64,
    /// The last eight characters.
    packed: u64,
    /// The least weight of each end of the block before; of no end, nothing.
    ends: [u64; CHOOSERS + 1],
    /// Where the block begins.
    first: u32,
    /// The gram that was chosen last.
    chosen: u32,
}

impl Chooser {
    /// Where the grams begin that the windows which end in a block choose, but for the last one known, and how many they are.
    /// Inlined, so that there is a copy for blocks that are known to be whole.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "zipped iterators are slower here, by a twentieth of a whole sketch")]
    fn choose(&mut self, block: &[u8]) -> ([u32; 32], usize) {
        let mut weights = [u64::MAX; CHOOSERS];
        for (offset, c) in block.iter().enumerate() {
            self.packed = self.packed << 8 | u64::from(*c);
            let weight = (self.packed << CHOOSER_SHIFT).wrapping_mul(self.factor);
            weights[offset] = weight & WEIGHT_MASK | u64::from(self.first.wrapping_add(offset as u32));
        }
        // Written always and counted when new: a processor could not guess which are.
        let (mut places, mut count) = ([0; 32], 0usize);
        let mut least = u64::MAX;
        for offset in 0..block.len() {
            least = least.min(weights[offset]);
            let window = self.first.wrapping_add(offset as u32 + 1).wrapping_sub(CHOOSERS as u32);
            let place = least.min(self.ends[offset + 1]) as u32;
            let chosen = window.wrapping_add(place.wrapping_sub(window) % WINDOW_GRAMS as u32);
            places[count % 32] = chosen;
            count = count.wrapping_add(usize::from(chosen != self.chosen));
            self.chosen = chosen;
        }
        if self.first == 0 {
            // Only the last of these windows does not begin before the text.
            (places[0], count) = (self.chosen, 1);
        }
        let mut end = u64::MAX;
        for (weight, slot) in weights.iter().zip(&mut self.ends).rev() {
            end = end.min(*weight);
            *slot = end;
        }
        self.first += CHOOSERS as u32;
        (places, count)
    }
}
