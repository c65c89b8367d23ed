//! Chance that is the same every time: a month is played from a seed.

/// SplitMix64 (Steele, Lea and Flood, 2014): small, well spread, and no secret rests on it.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice of their own for each thing that is named, so that adding one changes no other.
    pub(crate) fn of(seed: u64, names: [u64; 3]) -> Self {
        let mut dice = Self(seed);
        for name in names {
            dice.0 ^= name.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub(crate) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((self.part() * bound as f64) as u64).min(bound.saturating_sub(1))
    }

    /// Whether something happens that happens in `parts` of all cases.
    pub(crate) fn happens(&mut self, parts: f64) -> bool {
        self.part() < parts
    }

    /// A number around `mean`, skewed as the amounts of work are: mostly somewhat less, sometimes much more.
    pub(crate) fn around(&mut self, mean: f64, spread: f64) -> u64 {
        let bell = (0..12).map(|_| self.part()).sum::<f64>() - 6.0;
        (mean * (spread * bell - spread * spread / 2.0).exp()).round() as u64
    }
}
