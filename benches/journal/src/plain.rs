//! The yardsticks: a file written from its beginning to its end, forced to the disk in the journal's rhythm; the same in
//! files that go when what is in them has expired; and files whose writer besides does the least that any write-ahead log must
//! do whose content can be read back from memory.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::limits::{PLAIN_BLOCK_BYTES, PLAIN_SOURCE_BYTES};
use crate::processor;

/// What the writer does besides writing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Duty {
    /// Nothing: it writes one block again and again, which stays in the processor's cache.
    None,
    /// The newest blocks are kept, and older files removed by a second thread.
    Removing(Kept),
    /// As a log: each block also comes from memory, is summed up and copied to memory of its own, where the newest are kept too.
    Log(Kept),
}

impl Duty {
    const fn kept(self) -> Option<Kept> {
        match self {
            Self::None => None,
            Self::Removing(kept) | Self::Log(kept) => Some(kept),
        }
    }
}

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Bytes of the newest blocks, which have not expired.
    pub(crate) bytes: u64,
    /// Files that they are in: what expires goes with its file.
    pub(crate) files: u64,
}

/// What writing cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Bytes per second, until the last of them were on the disk.
    pub(crate) bytes_per_s: f64,
    /// Processor time of the thread that wrote, per byte.
    pub(crate) processor_ns_per_byte: f64,
}

/// Writes `bytes` bytes to a new file in `folder`, forced to the disk each time `sync_bytes` were written and at the end.
pub(crate) fn write(
    folder: &Path,
    content: &[u8],
    bytes: u64,
    sync_bytes: u64,
    duty: Duty,
) -> std::io::Result<Written> {
    let is_log = matches!(duty, Duty::Log(_));
    let source_bytes = if is_log { PLAIN_SOURCE_BYTES } else { PLAIN_BLOCK_BYTES };
    let source: Vec<u8> = content.iter().copied().cycle().take(source_bytes).collect();
    let mut blocks = source.chunks_exact(PLAIN_BLOCK_BYTES).cycle();
    let mut copies = is_log.then(Copies::default);
    let mut files = Files::begin(folder, duty.kept())?;
    if let Some(kept) = duty.kept() {
        // As many go as come from the beginning, as in the journal.
        for block in blocks.by_ref().take(kept.bytes as usize / PLAIN_BLOCK_BYTES) {
            files.write(block)?;
            if let Some(copies) = &mut copies {
                copies.add(block, kept.bytes);
            }
        }
        files.newest.sync_data()?;
    }
    let (began, processor_began) = (Instant::now(), processor::of_this_thread());
    let (mut left, mut unsynced) = (bytes, 0);
    while left > 0 {
        let length = PLAIN_BLOCK_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX));
        let block = &blocks.next().expect("blocks in a circle")[..length];
        if let (Duty::Log(kept), Some(copies)) = (duty, &mut copies) {
            copies.add(block, kept.bytes);
        }
        files.write(block)?;
        left -= length as u64;
        unsynced += length as u64;
        if unsynced >= sync_bytes || left == 0 {
            files.newest.sync_data()?;
            unsynced = 0;
        }
    }
    let processor = processor::of_this_thread() - processor_began;
    let written = Written {
        bytes_per_s: bytes as f64 / began.elapsed().as_secs_f64(),
        processor_ns_per_byte: processor.as_nanos() as f64 / bytes as f64,
    };
    files.remove_all()?;
    std::hint::black_box(copies.map(|copies| copies.sum));
    Ok(written)
}

/// One file, or as many as hold what is kept and one that grows; older ones go, beside the writer.
struct Files {
    folder: PathBuf,
    newest: File,
    paths: VecDeque<PathBuf>,
    newest_bytes: u64,
    kept: Option<Kept>,
    begun: u64,
    removing: mpsc::Sender<PathBuf>,
    remover: thread::JoinHandle<std::io::Result<()>>,
}

impl Files {
    fn begin(folder: &Path, kept: Option<Kept>) -> std::io::Result<Self> {
        let path = folder.join("plain-0");
        let (removing, removed) = mpsc::channel::<PathBuf>();
        Ok(Self {
            folder: folder.to_owned(),
            newest: File::create(&path)?,
            paths: VecDeque::from([path]),
            newest_bytes: 0,
            kept,
            begun: 1,
            removing,
            remover: thread::spawn(move || removed.iter().try_for_each(std::fs::remove_file)),
        })
    }

    fn write(&mut self, block: &[u8]) -> std::io::Result<()> {
        if let Some(kept) = self.kept.filter(|kept| self.newest_bytes >= kept.bytes / kept.files) {
            // A forced write is of the newest file only.
            self.newest.sync_data()?;
            let path = self.folder.join(format!("plain-{}", self.begun));
            self.newest = File::create(&path)?;
            self.paths.push_back(path);
            (self.newest_bytes, self.begun) = (0, self.begun + 1);
            if self.paths.len() as u64 > kept.files + 1 {
                let oldest = self.paths.pop_front().expect("more than one");
                self.removing.send(oldest).map_err(std::io::Error::other)?;
            }
        }
        self.newest_bytes += block.len() as u64;
        self.newest.write_all(block)
    }

    fn remove_all(self) -> std::io::Result<()> {
        let Self { paths, removing, remover, .. } = self;
        // Nobody receives any more if one could not be removed, which the thread then tells.
        let _ = paths.into_iter().try_for_each(|path| removing.send(path));
        drop(removing);
        remover.join().expect("the thread that removes does not panic")
    }
}

/// What a log keeps in memory, and the sum of all it has seen.
#[derive(Default)]
struct Copies {
    kept: VecDeque<Vec<u8>>,
    kept_bytes: u64,
    sum: u64,
}

impl Copies {
    /// Sums up the words of a block, the cheapest check there is, and keeps a copy of it instead of the oldest ones.
    fn add(&mut self, block: &[u8], kept_bytes_max: u64) {
        let words = block.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        self.sum = words.fold(self.sum, u64::wrapping_add);
        self.kept.push_back(block.to_vec());
        self.kept_bytes += block.len() as u64;
        while self.kept_bytes > kept_bytes_max {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.len() as u64;
        }
    }
}
