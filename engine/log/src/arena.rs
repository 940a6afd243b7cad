//! The memory of the log: one anonymous mapping, faulted in when it is made. Under loom a row of cells that
//! notice two threads at one word.
//!
//! Knows nothing of segments or records; who may touch what and when is for its callers to prove.
#![expect(
    unsafe_code,
    reason = "maps memory and hands out parts of it by offset; the log proves who may use which"
)]

pub(crate) use self::memory::{Arena, Bytes};

#[cfg(not(loom))]
mod memory {
    use core::ops::Deref;
    use core::ptr::NonNull;

    use crate::config::WORD_BYTES;

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

        /// Writes `bytes` at `offset`, and zeros up to the next word.
        ///
        /// # Safety
        /// `offset` is a multiple of a word, the words written are within the arena, and nobody else reads or
        /// writes them meanwhile.
        #[inline]
        pub(crate) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
            let padding = bytes.len().next_multiple_of(WORD_BYTES) - bytes.len();
            debug_assert!(offset + bytes.len() + padding <= self.bytes);
            // SAFETY: within the arena, by this function's contract.
            let start = unsafe { self.base.add(offset) };
            // SAFETY: the target is within the arena and this thread's alone; `bytes` is a reference, so it does
            // not overlap memory that is.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), start.as_ptr(), bytes.len()) };
            // SAFETY: the end of the bytes just written is within the arena or one past its end.
            let end = unsafe { start.add(bytes.len()) };
            // SAFETY: the rest of the last word, within the arena and this thread's alone.
            unsafe { core::ptr::write_bytes(end.as_ptr(), 0, padding) };
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
        pub(crate) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
            assert_eq!(offset % WORD_BYTES, 0);
            for (index, chunk) in bytes.chunks(WORD_BYTES).enumerate() {
                let mut word = [0; WORD_BYTES];
                word[..chunk.len()].copy_from_slice(chunk);
                // SAFETY: the pointer is the cell's, and loom panics before this if anybody is not ordered with it.
                self.0[offset / WORD_BYTES + index]
                    .with_mut(|value| unsafe { *value = u64::from_le_bytes(word) });
            }
        }
    }
}
