//! What no store can beat: copying the bodies in memory, and writing them to the same folder with nothing around.

use std::fs::File;
use std::hint::black_box;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memmap2::{Advice, MmapMut};

use super::Interrupt;
use super::drive::{Done, Run, Tally, Until, run};
use super::plan::{BODY_BYTES, Plan};
use super::report::{Figure, Report};
use crate::output::Failure;

/// The figure's name for copies on so many threads.
pub(super) fn copy_id(threads: usize) -> String {
    format!("copy/{threads}")
}

/// The figure's name for a plain writer that syncs blocks of so many bodies.
pub(super) fn write_id(bodies: usize) -> String {
    format!("write/synced/{bodies}")
}

/// The figure's name for a plain writer that syncs each second.
pub(super) const WRITE_BUFFERED_ID: &str = "write/buffered";

/// Memory as large as the engine's, in huge pages if there are any, faulted in.
pub(super) fn arena(plan: &Plan) -> Result<MmapMut, Failure> {
    let refused =
        |error| Failure::unavailable(format!("no memory to copy into ({error}); ask for less with --memory"));
    let mut arena = MmapMut::map_anon(plan.memory_bytes).map_err(refused)?;
    // A wish, as the engine's is.
    arena.advise(Advice::HugePage).ok();
    arena.fill(1);
    Ok(arena)
}

/// Copies bodies one behind the other into `arena`, each thread into its share of it.
pub(super) fn copy(
    plan: &Plan,
    arena: &mut [u8],
    threads: usize,
    until: Until,
    interrupt: &Interrupt,
) -> Result<Run, Failure> {
    let share_bytes = arena.len() / threads;
    let copiers = arena.chunks_exact_mut(share_bytes).map(|share| copier(plan, share));
    run(copiers.collect(), until, interrupt)
}

fn copier<'a>(plan: &'a Plan, share: &'a mut [u8]) -> impl FnMut(u64) -> Done + Send + 'a {
    let room = share.len() / BODY_BYTES;
    move |index| {
        let place = usize::try_from(index).map_or(0, |index| index % room) * BODY_BYTES;
        let target = &mut share[place..place + BODY_BYTES];
        target.copy_from_slice(plan.body(index));
        black_box(target);
        Ok(Tally::DONE)
    }
}

/// Writes blocks of bodies over a file that is there already, each synced before the next: no file system has less
/// to do for a sync.
pub(super) fn write_synced(
    plan: &Plan,
    folder: &Path,
    bodies: usize,
    report: &mut Report,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let mut file = PlainFile::create(folder, bodies)?;
    file.write_over(OVERWRITTEN_BYTES)?;
    let mut run = Run::default();
    let began = Instant::now();
    while run.elapsed < plan.share() {
        interrupt.check()?;
        if run.tally.done as usize * BODY_BYTES % OVERWRITTEN_BYTES < bodies * BODY_BYTES {
            file.rewind()?;
        }
        file.write_block()?;
        file.sync()?;
        run.tally.done += bodies as u64;
        run.elapsed = began.elapsed();
    }
    let what = format!("plain writer, synced each {bodies}");
    report.add(Figure::of(write_id(bodies), what, 1, &[run]).with_bytes());
    Ok(())
}

/// Writes blocks as large as the journal's one behind the other, synced each second and at the end.
pub(super) fn write_buffered(
    plan: &Plan,
    folder: &Path,
    report: &mut Report,
    interrupt: &Interrupt,
) -> Result<(), Failure> {
    let mut file = PlainFile::create(folder, BLOCK_BODIES)?;
    let mut run = Run::default();
    let began = Instant::now();
    let mut synced_at = Duration::ZERO;
    while run.elapsed < 2 * plan.share() {
        interrupt.check()?;
        file.write_block()?;
        run.tally.done += BLOCK_BODIES as u64;
        run.elapsed = began.elapsed();
        if run.elapsed >= synced_at + SYNC_RHYTHM {
            file.sync()?;
            synced_at = began.elapsed();
        }
    }
    file.sync()?;
    run.elapsed = began.elapsed();
    let figure = Figure::of(WRITE_BUFFERED_ID.into(), "plain writer, synced each second".into(), 1, &[run]);
    report.add(figure.with_bytes());
    Ok(())
}

/// Bytes that a plain writer that syncs each block goes round in.
const OVERWRITTEN_BYTES: usize = 16 << 20;
/// Bodies of the block that the journal writes at most: 1 MiB.
const BLOCK_BODIES: usize = (1 << 20) / BODY_BYTES;
/// As the journal syncs with `buffered`.
const SYNC_RHYTHM: Duration = Duration::from_secs(1);

/// A file that blocks are written to, gone when dropped.
struct PlainFile {
    file: File,
    path: PathBuf,
    block: Vec<u8>,
}

impl PlainFile {
    fn create(folder: &Path, bodies: usize) -> Result<Self, Failure> {
        let path = folder.join("plain");
        let file = File::create(&path).map_err(|error| unwritable(&path, &error))?;
        Ok(Self { file, path, block: vec![0x5a; bodies * BODY_BYTES] })
    }

    /// Writes `bytes` and more, and goes back to the beginning.
    fn write_over(&mut self, bytes: usize) -> Result<(), Failure> {
        for _ in 0..=bytes / self.block.len() {
            self.write_block()?;
        }
        self.sync()?;
        self.rewind()
    }

    fn write_block(&mut self) -> Result<(), Failure> {
        self.file.write_all(&self.block).map_err(|error| unwritable(&self.path, &error))
    }

    fn rewind(&mut self) -> Result<(), Failure> {
        self.file.rewind().map_err(|error| unwritable(&self.path, &error))
    }

    fn sync(&self) -> Result<(), Failure> {
        self.file.sync_data().map_err(|error| unwritable(&self.path, &error))
    }
}

impl Drop for PlainFile {
    fn drop(&mut self) {
        // The whole folder goes in the end.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cold]
fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unavailable(format!("{} cannot be written: {error}", path.display()))
}
