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

/// Item ids from one secret seed, without a system call per id: the output of BLAKE3 under the seed as its key, read
/// in blocks.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct IdStream {
    key: [u8; 32],
    block: [u8; ID_BLOCK_BYTES],
    #[zeroize(skip)]
    used_bytes: usize,
    #[zeroize(skip)]
    read_bytes: u64,
}

/// Ids are made this many bytes at a time, so that what a hash costs before its first byte is shared by many.
const ID_BLOCK_BYTES: usize = 1024;
const ID_BYTES: usize = 16;

impl IdStream {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self { key, block: [0; ID_BLOCK_BYTES], used_bytes: ID_BLOCK_BYTES, read_bytes: 0 }
    }

    #[inline]
    pub(crate) fn next_id(&mut self) -> PlacementId {
        if self.used_bytes == ID_BLOCK_BYTES {
            self.refill();
        }
        let (ids, _) = self.block.as_chunks::<ID_BYTES>();
        let id = PlacementId::from_bytes(ids[self.used_bytes / ID_BYTES]);
        self.used_bytes += ID_BYTES;
        id
    }

    #[cold]
    fn refill(&mut self) {
        let mut output = blake3::Hasher::new_keyed(&self.key).finalize_xof();
        output.set_position(self.read_bytes);
        output.fill(&mut self.block);
        self.read_bytes += ID_BLOCK_BYTES as u64;
        self.used_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_the_keyed_output_of_blake3_in_order_without_a_repeat() {
        let (mut ids, key) = (IdStream::new([7; 32]), [7; 32]);
        let mut output = blake3::Hasher::new_keyed(&key).finalize_xof();
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let mut expected = [0; ID_BYTES];
            output.fill(&mut expected);
            assert_eq!(ids.next_id().as_bytes(), &expected);
            assert!(seen.insert(expected));
        }
        assert_ne!(IdStream::new([8; 32]).next_id(), IdStream::new(key).next_id());
    }
}
