//! Fingerprints of texts: numbers that two texts share when they share 24 characters, and that say nothing to somebody without the key.
//!
//! It knows characters and numbers, not what they are evidence of.

#![allow(deprecated, reason = "`SipHasher` is std's only keyed hash with a specified result (SipHash-2-4); it is deprecated in favour of unkeyed ones")]

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
const _: () = assert!((GRAM_CHARS - CHOOSER_CHARS) % WINDOW_GRAMS == 0);

/// The numbers that a key stands for.
#[derive(Clone)]
pub(super) struct Schedule {
    sip: (u64, u64),
    lanes: [u64; GRAM_CHARS],
    chooser: u64,
    pub id: u32,
}

/// What a hash is of: the same characters in another role have another hash.
#[derive(Clone, Copy)]
pub(super) enum Role {
    Token = 1,
    Whole = 2,
}

impl Schedule {
    pub fn new(key: [u8; 16]) -> Self {
        let number = |name: &[u8], index: u8| {
            let digest = Sha256::new().chain_update(b"prudence content v1 ").chain_update(name).chain_update([index]).chain_update(key).finalize();
            u64::from_le_bytes(std::array::from_fn(|at| digest[at]))
        };
        let lane = |index: usize| number(b"lane", u8::try_from(index).unwrap_or(u8::MAX));
        Self {
            sip: (number(b"sip", 0), number(b"sip", 1)),
            lanes: std::array::from_fn(lane),
            chooser: number(b"chooser", 0) | 1,
            id: u32::try_from(number(b"id", 0) >> 32).unwrap_or_default(),
        }
    }

    fn sip(&self, role: u8, words: &[u64]) -> u64 {
        let mut hasher = SipHasher::new_with_keys(self.sip.0, self.sip.1 ^ u64::from(role));
        for word in words {
            hasher.write(&word.to_le_bytes());
        }
        hasher.finish()
    }

    /// The hash of some characters in a role.
    pub fn hash_bytes(&self, role: Role, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher::new_with_keys(self.sip.0, self.sip.1 ^ role as u64);
        hasher.write(bytes);
        hasher.finish()
    }

    /// The hash of all of a short text.
    pub fn hash_whole(&self, chars: &[u32]) -> u64 {
        let mut bytes = [0; COPY_CHARS_MIN * 4];
        for (slot, c) in bytes.chunks_exact_mut(4).zip(chars) {
            slot.copy_from_slice(&c.to_le_bytes());
        }
        self.hash_bytes(Role::Whole, &bytes[..chars.len().min(COPY_CHARS_MIN) * 4])
    }

    /// A weak hash of the first characters of a short text, so that most places need no strong one.
    pub fn head(&self, chars: &[u32]) -> u16 {
        let sum = self.mixed(&chars[..chars.len().min(HEAD_CHARS)]);
        u16::try_from((sum ^ (sum >> 29)).wrapping_mul(self.lanes[GRAM_CHARS - 1] | 1) >> 48).unwrap_or_default()
    }

    /// Inner product with secret numbers: an almost universal hash (Lemire and Kaser, 2014). Hidden by SipHash before it leaves.
    #[inline]
    fn mixed(&self, chars: &[u32]) -> u64 {
        let mut sum = 0u64;
        for (c, lane) in chars.iter().zip(&self.lanes) {
            sum = sum.wrapping_add(u64::from(*c).wrapping_mul(*lane));
        }
        sum
    }

    /// Calls `found` with the fingerprint of each chosen gram.
    ///
    /// Any 24 characters in a row contain one that is chosen by them alone, wherever they stand: that is the guarantee. Winnowing
    /// (Schleimer, Wilkerson, Aiken 2003) with mod-sampling (Groot Koerkamp, Pibiri 2024) as the choice: 5 of 21 grams are
    /// kept instead of 1 of 3, with the same guarantee.
    pub fn fingerprints(&self, chars: &[u32], mut found: impl FnMut(u64)) {
        if chars.len() < COPY_CHARS_MIN {
            return;
        }
        let base = self.chooser;
        let out = base.wrapping_pow(CHOOSER_CHARS as u32);
        // The order of sub-grams, in a ring that always holds those of the window.
        let mut ring = [u64::MAX; 32];
        let mut rolling = chars[..CHOOSER_CHARS - 1].iter().fold(0u64, |sum, c| sum.wrapping_mul(base).wrapping_add(u64::from(*c)));
        let (mut least, mut least_at) = (u64::MAX, 0);
        let mut last_chosen = usize::MAX;
        for end in CHOOSER_CHARS - 1..chars.len() {
            let at = end + 1 - CHOOSER_CHARS;
            rolling = rolling.wrapping_mul(base).wrapping_add(u64::from(chars[end]));
            if at > 0 {
                rolling = rolling.wrapping_sub(u64::from(chars[at - 1]).wrapping_mul(out));
            }
            let order = (rolling ^ (rolling >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ring[at % 32] = order;
            if order < least {
                (least, least_at) = (order, at);
            }
            let Some(start) = (at + 1).checked_sub(CHOOSERS) else { continue };
            if least_at < start {
                (least, least_at) = (u64::MAX, start);
                for candidate in start..=at {
                    let order = ring[candidate % 32];
                    if order < least {
                        (least, least_at) = (order, candidate);
                    }
                }
            }
            let chosen = start + (least_at - start) % WINDOW_GRAMS;
            if chosen != last_chosen {
                last_chosen = chosen;
                found(self.sip(0, &[self.mixed(&chars[chosen..chosen + GRAM_CHARS])]));
            }
        }
    }
}
