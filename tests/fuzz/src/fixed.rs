//! Randomness that is the same in every run, so that a failing input fails again. It keeps nothing secret.

use core::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};

use herald_core::Random;
use hpke::rand_core::{TryCryptoRng, TryRng};

/// A stream of bytes that depends on its seed alone (the finaliser of splitmix64 over a counter).
pub(crate) struct Fixed(AtomicU64);

impl Fixed {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn word(&self) -> u64 {
        // Relaxed: only one thread draws.
        let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Random for Fixed {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The same stream for libraries that ask through `rand_core`.
pub(crate) struct FixedRng(Fixed);

impl FixedRng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Fixed::new(seed))
    }
}

impl TryRng for FixedRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for FixedRng {}
