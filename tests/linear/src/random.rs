//! Where the choices of a run come from.

/// The seed of this run: `LINEAR_SEED`, or `default`.
///
/// # Panics
/// If `LINEAR_SEED` is no number.
pub fn seed(default: u64) -> u64 {
    std::env::var("LINEAR_SEED")
        .map_or(default, |text| text.parse().expect("LINEAR_SEED is a decimal number"))
}

/// SplitMix64 (Steele, Lea and Flood, 2014), from a seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// 64 random bits.
    pub fn next_word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// From 0 up to and without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_word() % end
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of a few numbers, the low ones more often.
    pub fn number(&mut self, numbers: u64) -> u64 {
        self.below(numbers).min(self.below(numbers))
    }
}
