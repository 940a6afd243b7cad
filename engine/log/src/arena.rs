//! The memory of the log: anonymous mappings, faulted in when they are made, for records and for the words of the
//! index. Under loom rows of cells that notice two threads at one word.
//!
//! Knows nothing of segments or records; who may touch what and when is for its callers to prove.
#![expect(
    unsafe_code,
    reason = "maps memory and hands out parts of it by offset; the log proves who may use which"
)]

#[cfg(not(any(loom, shuttle)))]
pub(crate) use self::memory::Words;
pub(crate) use self::memory::{Arena, Bytes};
#[cfg(any(loom, shuttle))]
pub(crate) use self::watched::Words;

#[cfg(not(loom))]
mod memory {
    use core::ops::Deref;
    use core::ptr::NonNull;
    #[cfg(not(shuttle))]
    use core::sync::atomic::AtomicU64;

    use crate::config::LINE_BYTES;

    /// Bytes of the arena, lent while the reader is pinned.
    pub(crate) struct Bytes<'a>(&'a [u8]);

    impl Deref for Bytes<'_> {
        type Target = [u8];

        #[inline]
        fn deref(&self) -> &[u8] {
            self.0
        }
    }

    /// Huge pages of x86-64 and the usual AArch64 kernels; only the alignment depends on it.
    const HUGE_PAGE_BYTES: usize = 2 << 20;
    /// The smallest page of the systems we run on. Larger pages are touched more than once.
    const PAGE_BYTES: usize = 4096;

    /// A mapping of fixed size, all of it in memory.
    pub(crate) struct Arena {
        mapping: NonNull<u8>,
        mapping_bytes: usize,
        base: NonNull<u8>,
        bytes: usize,
    }

    // SAFETY: the arena is plain memory owned by this value; nothing in it belongs to a thread.
    unsafe impl Send for Arena {}
    // SAFETY: shared access goes through `bytes` and `write`, whose contracts exclude races.
    unsafe impl Sync for Arena {}

    impl Arena {
        /// Maps `bytes` bytes of zeros and faults them in; the error is the operating system's number.
        pub(crate) fn map(bytes: usize) -> Result<Self, i32> {
            let mapping_bytes = bytes.checked_add(HUGE_PAGE_BYTES).ok_or(libc::ENOMEM)?;
            let mapping = map_anonymous(mapping_bytes)?;
            let skipped = mapping.as_ptr().align_offset(HUGE_PAGE_BYTES);
            // SAFETY: aligning skips less than a huge page, and the mapping is that much longer.
            let base = unsafe { mapping.add(skipped) };
            let arena = Self { mapping, mapping_bytes, base, bytes };
            // Both are wishes: without huge pages the log is slower, without the other a core dump is larger and
            // holds sealed placements.
            arena.advise(libc::MADV_HUGEPAGE).ok();
            arena.advise(libc::MADV_DONTDUMP).ok();
            arena.fault_in()?;
            Ok(arena)
        }

        /// The `length` bytes at `offset`.
        ///
        /// # Safety
        /// Until the caller is done with the bytes they are within the arena and nobody writes them, and what
        /// was written to them before happened before this call.
        #[inline]
        pub(crate) unsafe fn bytes(&self, offset: usize, length: usize) -> Bytes<'_> {
            debug_assert!(offset + length <= self.bytes);
            // SAFETY: within the arena, by this function's contract.
            let start = unsafe { self.base.add(offset) };
            // SAFETY: mapped and initialised (the kernel's zeros or later writes), not written meanwhile by this
            // function's contract.
            Bytes(unsafe { core::slice::from_raw_parts(start.as_ptr(), length) })
        }

        /// Writes `bytes` at `offset`, and zeros behind them up to `length` bytes in all.
        ///
        /// # Safety
        /// The `length` bytes are within the arena, and nobody else reads or writes them meanwhile.
        #[inline]
        pub(crate) unsafe fn write(&self, offset: usize, bytes: &[u8], length: usize) {
            debug_assert!(bytes.len() <= length && offset + length <= self.bytes);
            // SAFETY: within the arena, by this function's contract.
            let start = unsafe { self.base.add(offset) };
            // SAFETY: the target is within the arena and this thread's alone; `bytes` is a reference, so it does
            // not overlap memory that is.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len()) };
            // SAFETY: the end of the bytes just written is within the arena or one past its end.
            let end = unsafe { start.add(bytes.len()) };
            // SAFETY: the rest of the `length` bytes, within the arena and this thread's alone.
            unsafe { core::ptr::write_bytes(end.as_ptr(), 0, length - bytes.len()) };
        }

        /// As [`write`](Self::write), past the caches: the line is not fetched first, which is what half of a
        /// copy's time goes into. What is written is ordered before later writes by [`settle`](Self::settle) only.
        ///
        /// # Safety
        /// As for `write`; `offset` and `length` are whole lines, and `settle` comes before anything that lets
        /// another thread find the bytes.
        #[cfg(all(target_arch = "x86_64", not(tsan)))]
        #[inline]
        pub(crate) unsafe fn stream(&self, offset: usize, bytes: &[u8], length: usize) {
            use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_setzero_si128, _mm_stream_si128};

            debug_assert!(bytes.len() <= length && offset + length <= self.bytes);
            debug_assert!(offset.is_multiple_of(LINE_BYTES) && length.is_multiple_of(LINE_BYTES));
            // SAFETY: within the arena, by this function's contract.
            let start = unsafe { self.base.add(offset) }.cast::<__m128i>().as_ptr();
            let (whole, rest) = bytes.as_chunks::<16>();
            for (index, chunk) in whole.iter().enumerate() {
                // SAFETY: reads the sixteen bytes of the chunk, wherever they lie.
                let word = unsafe { _mm_loadu_si128(chunk.as_ptr().cast()) };
                // SAFETY: `bytes` is no longer than `length`, so within the arena.
                let target = unsafe { start.add(index) };
                // SAFETY: within the arena, this thread's alone, and aligned, since base and offset are.
                unsafe { _mm_stream_si128(target, word) };
            }
            // What is left of the body goes through a register: through memory it would wait for all of the above.
            let mut word = last_word(bytes, rest.len());
            for index in whole.len()..length / 16 {
                // SAFETY: before the end of `length`, so within the arena.
                let target = unsafe { start.add(index) };
                // SAFETY: within the arena, this thread's alone, and aligned.
                unsafe { _mm_stream_si128(target, word) };
                // SAFETY: touches no memory.
                word = unsafe { _mm_setzero_si128() };
            }
        }

        /// Elsewhere, and where ThreadSanitizer is to see it, a write like any other.
        ///
        /// # Safety
        /// As for `write`.
        #[cfg(not(all(target_arch = "x86_64", not(tsan))))]
        #[inline]
        pub(crate) unsafe fn stream(&self, offset: usize, bytes: &[u8], length: usize) {
            // SAFETY: the same contract.
            unsafe { self.write(offset, bytes, length) };
        }

        /// Orders what this thread has streamed before whatever it writes next.
        #[inline]
        pub(crate) fn settle(&self) {
            #[cfg(all(target_arch = "x86_64", not(tsan)))]
            // SAFETY: touches no memory.
            unsafe {
                core::arch::x86_64::_mm_sfence();
            }
        }

        /// Has `LINES` lines from `offset` on fetched: a hint, and no access, so that it may pass the arena's end.
        #[inline]
        pub(crate) fn prefetch<const LINES: usize>(&self, offset: usize) {
            let start = self.base.as_ptr().wrapping_add(offset);
            (0..LINES).for_each(|line| fetch(start.wrapping_add(line * LINE_BYTES)));
        }

        fn advise(&self, advice: libc::c_int) -> Result<(), i32> {
            // SAFETY: the range lies within this value's own mapping, and none of the advice given in this file
            // changes what can be read from it.
            let failed = unsafe { libc::madvise(self.base.as_ptr().cast(), self.bytes, advice) } != 0;
            if failed { Err(last_os_error()) } else { Ok(()) }
        }

        fn fault_in(&self) -> Result<(), i32> {
            match self.advise(libc::MADV_POPULATE_WRITE) {
                // Kernels before 5.14 don't know the advice.
                Err(libc::EINVAL) => {
                    self.touch();
                    Ok(())
                }
                result => result,
            }
        }

        fn touch(&self) {
            for offset in (0..self.bytes).step_by(PAGE_BYTES) {
                // SAFETY: within the arena.
                let byte = unsafe { self.base.add(offset) };
                // SAFETY: mapped writable, and nobody else has the arena yet. Volatile, or the zeros of a fresh
                // mapping need not be written.
                unsafe { byte.write_volatile(0) };
            }
        }
    }

    /// A row of words that any thread may read and change, all 0 at first.
    #[cfg(not(shuttle))]
    pub(crate) struct Words {
        arena: Arena,
        count: usize,
    }

    #[cfg(not(shuttle))]
    impl Words {
        /// Maps `count` words and faults them in; the error is the operating system's number.
        pub(crate) fn map(count: usize) -> Result<Self, i32> {
            let bytes = count.checked_mul(size_of::<AtomicU64>()).ok_or(libc::ENOMEM)?;
            Ok(Self { arena: Arena::map(bytes)?, count })
        }

        #[inline]
        pub(crate) fn get(&self, index: usize) -> &AtomicU64 {
            assert!(index < self.count);
            // SAFETY: `index` is below `count`, for which there is room.
            let word = unsafe { self.arena.base.cast::<AtomicU64>().add(index) };
            // SAFETY: mapped and zero at first, aligned as the base is, and never handed out in another way.
            unsafe { word.as_ref() }
        }

        /// Has the word fetched: a hint, and no access.
        #[inline]
        pub(crate) fn prefetch(&self, index: usize) {
            fetch(self.arena.base.cast::<AtomicU64>().as_ptr().wrapping_add(index).cast());
        }
    }

    /// The last `count` bytes of `bytes`, fewer than sixteen, with zeros behind them.
    #[cfg(all(target_arch = "x86_64", not(tsan)))]
    #[inline]
    fn last_word(bytes: &[u8], count: usize) -> core::arch::x86_64::__m128i {
        let word = match bytes.last_chunk::<16>() {
            // By 8 to 128 bits; by 128 in two steps.
            Some(chunk) => u128::from_le_bytes(*chunk) >> 8 >> (8 * (15 - count)),
            None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte)),
        };
        let half = |shift: u32| i64::from_ne_bytes(((word >> shift) as u64).to_ne_bytes());
        // SAFETY: touches no memory.
        unsafe { core::arch::x86_64::_mm_set_epi64x(half(64), half(0)) }
    }

    #[inline]
    fn fetch(line: *const u8) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint; an address that is not mapped is passed over.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }

    impl Drop for Arena {
        fn drop(&mut self) {
            // SAFETY: this value's own mapping; no borrow of it outlives the value.
            let result = unsafe { libc::munmap(self.mapping.as_ptr().cast(), self.mapping_bytes) };
            debug_assert_eq!(result, 0);
        }
    }

    fn map_anonymous(bytes: usize) -> Result<NonNull<u8>, i32> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: asks for a new mapping anywhere; no memory in use is touched.
        let mapping = unsafe { libc::mmap(core::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if mapping == libc::MAP_FAILED {
            return Err(last_os_error());
        }
        NonNull::new(mapping.cast()).ok_or(libc::ENOMEM)
    }

    #[cold]
    fn last_os_error() -> i32 {
        std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::ENOMEM)
    }
}

#[cfg(loom)]
mod memory {
    use core::marker::PhantomData;
    use core::ops::Deref;

    use loom::cell::UnsafeCell;

    use crate::config::WORD_BYTES;

    /// A copy of bytes of the arena: loom's cells cannot be lent.
    pub(crate) struct Bytes<'a>(Vec<u8>, PhantomData<&'a ()>);

    impl Deref for Bytes<'_> {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            &self.0
        }
    }

    /// The words of the arena.
    pub(crate) struct Arena(Box<[UnsafeCell<u64>]>);

    // SAFETY: as for the mapping; loom checks the claim at each access.
    unsafe impl Send for Arena {}
    // SAFETY: as for the mapping; loom checks the claim at each access.
    unsafe impl Sync for Arena {}

    impl Arena {
        #[expect(clippy::unnecessary_wraps, reason = "the mapping it stands for can fail")]
        pub(crate) fn map(bytes: usize) -> Result<Self, i32> {
            Ok(Self((0..bytes / WORD_BYTES).map(|_| UnsafeCell::new(0)).collect()))
        }

        /// # Safety
        /// As for the mapping; loom panics where it is not kept.
        pub(crate) unsafe fn bytes(&self, offset: usize, length: usize) -> Bytes<'_> {
            assert_eq!(offset % WORD_BYTES, 0);
            let words = &self.0[offset / WORD_BYTES..][..length.div_ceil(WORD_BYTES)];
            // SAFETY: the pointer is the cell's, and loom panics before this if a writer is not ordered with it.
            let read = |word: &UnsafeCell<u64>| word.with(|value| unsafe { *value });
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| read(word).to_le_bytes()).collect();
            bytes.truncate(length);
            Bytes(bytes, PhantomData)
        }

        /// # Safety
        /// As for the mapping; loom panics where it is not kept.
        pub(crate) unsafe fn write(&self, offset: usize, bytes: &[u8], length: usize) {
            assert!(offset % WORD_BYTES == 0 && length % WORD_BYTES == 0);
            let mut padded = bytes.to_vec();
            padded.resize(length, 0);
            for (index, word) in padded.as_chunks::<WORD_BYTES>().0.iter().enumerate() {
                // SAFETY: the pointer is the cell's, and loom panics before this if anybody is not ordered with it.
                self.0[offset / WORD_BYTES + index]
                    .with_mut(|value| unsafe { *value = u64::from_le_bytes(*word) });
            }
        }

        /// # Safety
        /// As for `write`. loom knows no writes past the caches.
        pub(crate) unsafe fn stream(&self, offset: usize, bytes: &[u8], length: usize) {
            // SAFETY: the same contract.
            unsafe { self.write(offset, bytes, length) };
        }

        #[expect(clippy::unused_self, reason = "the mapping's has one")]
        pub(crate) fn settle(&self) {}

        #[expect(clippy::unused_self, reason = "the mapping's has one")]
        pub(crate) fn prefetch<const LINES: usize>(&self, _offset: usize) {}
    }
}

#[cfg(any(loom, shuttle))]
mod watched {
    use crate::sync::AtomicU64;

    /// The words of the index, watched by loom or shuttle.
    pub(crate) struct Words(Box<[AtomicU64]>);

    impl Words {
        #[expect(clippy::unnecessary_wraps, reason = "the mapping it stands for can fail")]
        pub(crate) fn map(count: usize) -> Result<Self, i32> {
            Ok(Self((0..count).map(|_| AtomicU64::new(0)).collect()))
        }

        pub(crate) fn get(&self, index: usize) -> &AtomicU64 {
            &self.0[index]
        }

        #[expect(clippy::unused_self, reason = "the mapping's has one")]
        pub(crate) fn prefetch(&self, _index: usize) {}
    }
}
