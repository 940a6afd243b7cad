//! The yardsticks: a file written from its beginning to its end, forced to the disk in the journal's rhythm; and one
//! whose writer does the least that any write-ahead log must do whose content can be read back from memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::limits::{PLAIN_BLOCK_BYTES, PLAIN_SOURCE_BYTES};
use crate::processor;

/// When the plain writer forces what it has written to the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rhythm {
    /// Each time this much time has passed, as the journal does in `buffered`.
    Every(Duration),
    /// Each time this many bytes were written, as the journal did on average in `synced`.
    Bytes(u64),
}

/// What the writer does besides writing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duty {
    /// Nothing: it writes one block again and again, which stays in the processor's cache.
    None,
    /// As a log: each block comes from memory, is summed up and copied to memory of its own, and the newest copies are
    /// kept, so many bytes of them.
    Log(u64),
}

/// What writing cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Bytes per second, until the last of them were on the disk.
    pub(crate) bytes_per_s: f64,
    /// Processor time of the thread that wrote, per byte.
    pub(crate) processor_ns_per_byte: f64,
}

/// Writes `bytes` bytes to a new file in `folder`, the last of them forced to the disk.
pub(crate) fn write(
    folder: &Path,
    content: &[u8],
    bytes: u64,
    rhythm: Rhythm,
    duty: Duty,
) -> std::io::Result<Written> {
    let source_bytes = if matches!(duty, Duty::None) { PLAIN_BLOCK_BYTES } else { PLAIN_SOURCE_BYTES };
    let source: Vec<u8> = content.iter().copied().cycle().take(source_bytes).collect();
    let mut blocks = source.chunks_exact(PLAIN_BLOCK_BYTES).cycle();
    let mut copies = Copies::default();
    if let Duty::Log(kept_bytes) = duty {
        // As many go as come from the beginning, as in the journal.
        blocks.by_ref().take_while(|block| copies.add(block, kept_bytes)).for_each(drop);
    }
    let path = folder.join("plain");
    let mut file = File::create(&path)?;
    let (began, mut synced_at, processor_began) =
        (Instant::now(), Instant::now(), processor::of_this_thread());
    let (mut left, mut unsynced) = (bytes, 0);
    while left > 0 {
        let length = PLAIN_BLOCK_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX));
        let block = &blocks.next().expect("blocks in a circle")[..length];
        if let Duty::Log(kept_bytes) = duty {
            let _ = copies.add(block, kept_bytes);
        }
        file.write_all(block)?;
        left -= length as u64;
        unsynced += length as u64;
        let is_due = match rhythm {
            Rhythm::Every(span) => synced_at.elapsed() >= span,
            Rhythm::Bytes(share) => unsynced >= share,
        };
        if is_due || left == 0 {
            file.sync_data()?;
            (synced_at, unsynced) = (Instant::now(), 0);
        }
    }
    let processor = processor::of_this_thread() - processor_began;
    let written = Written {
        bytes_per_s: bytes as f64 / began.elapsed().as_secs_f64(),
        processor_ns_per_byte: processor.as_nanos() as f64 / bytes as f64,
    };
    drop(file);
    std::fs::remove_file(path)?;
    std::hint::black_box(copies.sum);
    Ok(written)
}

/// What a log keeps in memory, and the sum of all it has seen.
#[derive(Default)]
struct Copies {
    kept: VecDeque<Vec<u8>>,
    kept_bytes: u64,
    sum: u64,
}

impl Copies {
    /// Sums up the words of a block, the cheapest check there is, and keeps a copy of it instead of the oldest ones. Returns
    /// whether there was room without giving up old ones.
    fn add(&mut self, block: &[u8], kept_bytes_max: u64) -> bool {
        let words = block.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        self.sum = words.fold(self.sum, u64::wrapping_add);
        self.kept.push_back(block.to_vec());
        self.kept_bytes += block.len() as u64;
        let had_room = self.kept_bytes <= kept_bytes_max;
        while self.kept_bytes > kept_bytes_max {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.len() as u64;
        }
        had_room
    }
}
