//! A copy with stores that pass the caches by, as the log writes bodies: the ceiling of a store that never reads what
//! it wrote. Only x86-64 has such stores.

use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
use std::sync::atomic::{Ordering, fence};

use herald_core::Timestamp;
use herald_log::limits::record_bytes;

use super::{Placement, Storing};
use crate::failure::Failure;

/// Bytes of one such store.
const WORD_BYTES: usize = size_of::<__m128i>();

/// One thread's share of an arena that records are streamed into and never found in.
pub(crate) struct Streaming<'a> {
    arena: &'a mut [u8],
    header_bytes: usize,
    used_bytes: usize,
}

impl<'a> Streaming<'a> {
    /// Writes a header of `header_bytes` before each body. Both are filled up with zeros to whole cache lines.
    pub(crate) fn new(arena: &'a mut [u8], header_bytes: usize) -> Self {
        assert!(arena.as_ptr().addr().is_multiple_of(WORD_BYTES), "arenas begin at a page");
        assert!(header_bytes.is_multiple_of(WORD_BYTES), "a header is whole words");
        Self { arena, header_bytes, used_bytes: 0 }
    }

    #[inline]
    fn stream(&mut self, placement: &Placement<'_>) {
        let length = record_bytes(placement.body.len());
        if self.used_bytes + length > self.arena.len() {
            self.used_bytes = 0;
        }
        let record = words_of(&mut self.arena[self.used_bytes..][..length]);
        let (header, body) = record.split_at_mut(self.header_bytes / WORD_BYTES);
        header.iter_mut().for_each(|target| stream_word(target, &[7; WORD_BYTES]));
        let (source, rest) = placement.body.as_chunks::<WORD_BYTES>();
        let (whole, padded) = body.split_at_mut(source.len());
        whole.iter_mut().zip(source).for_each(|(target, word)| stream_word(target, word));
        let mut last = [0; WORD_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        for target in padded {
            stream_word(target, &last);
            last = [0; WORD_BYTES];
        }
        self.used_bytes += length;
    }
}

impl Storing for Streaming<'_> {
    #[inline]
    fn store(&mut self, placements: &[Placement<'_>], _: Timestamp) -> Result<usize, Failure> {
        placements.iter().for_each(|placement| self.stream(placement));
        // A locked instruction or mfence: what was streamed is visible to all, as after an append.
        fence(Ordering::SeqCst);
        Ok(placements.len())
    }
}

/// The same bytes as words: once a record, so that no word has to be looked at again.
#[inline]
#[expect(unsafe_code, reason = "a view of the same bytes has no safe name")]
fn words_of(record: &mut [u8]) -> &mut [__m128i] {
    // SAFETY: any bytes are a word, and any word is bytes.
    let (before, words, behind) = unsafe { record.align_to_mut() };
    assert!(before.is_empty() && behind.is_empty(), "a record is whole words at a multiple of a word");
    words
}

/// Writes a word past the caches.
#[inline]
#[expect(unsafe_code, reason = "such a store has no safe name")]
fn stream_word(target: &mut __m128i, word: &[u8; WORD_BYTES]) {
    // SAFETY: `word` is as long as what is read; any alignment will do.
    let word = unsafe { _mm_loadu_si128(word.as_ptr().cast()) };
    // SAFETY: a reference is exclusive, as long as a word and aligned to one.
    unsafe { _mm_stream_si128(target, word) };
}
