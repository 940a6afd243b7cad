//! Randomness: where it comes in, and the stream that ids are drawn from.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::placement::PlacementId;

/// Where unpredictable bytes come from. A seeded one replays a run.
pub trait Random: Send + Sync {
    /// Fills `out` with bytes nobody can predict.
    fn fill(&self, out: &mut [u8]);

    /// A 32-byte key.
    fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        self.fill(&mut key);
        key
    }
}

/// Item ids from one secret seed, without a system call per id.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct IdStream {
    key: [u8; 32],
    #[zeroize(skip)]
    counter: u64,
}

impl IdStream {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self { key, counter: 0 }
    }

    pub(crate) fn next_id(&mut self) -> PlacementId {
        let digest = blake3::keyed_hash(&self.key, &self.counter.to_le_bytes());
        self.counter += 1;
        let mut id = [0; 16];
        id.copy_from_slice(&digest.as_bytes()[..16]);
        PlacementId::from_bytes(id)
    }
}
