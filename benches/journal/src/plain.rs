//! The yardstick: a file written from its beginning to its end, forced to the disk in the journal's rhythm.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::limits::PLAIN_BLOCK_BYTES;
use crate::processor;

/// When the plain writer forces what it has written to the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rhythm {
    /// Each time this much time has passed, as the journal does in `buffered`.
    Every(Duration),
    /// Each time this many bytes were written, as the journal did on average in `synced`.
    Bytes(u64),
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
pub(crate) fn write(folder: &Path, content: &[u8], bytes: u64, rhythm: Rhythm) -> std::io::Result<Written> {
    let block: Vec<u8> = content.iter().copied().cycle().take(PLAIN_BLOCK_BYTES).collect();
    let path = folder.join("plain");
    let mut file = File::create(&path)?;
    let (began, mut synced_at, processor_began) =
        (Instant::now(), Instant::now(), processor::of_this_thread());
    let (mut left, mut unsynced) = (bytes, 0);
    while left > 0 {
        let length = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        file.write_all(&block[..length])?;
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
    Ok(written)
}
