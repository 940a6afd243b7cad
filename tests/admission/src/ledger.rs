//! Who was told that a token is theirs: a file a thread, eight bytes a line, which the kernel has at once.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::limits::THREADS;

const LINE_BYTES: usize = 8;

/// How a token was had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It was redeemed.
    Redeemed = 0,
    /// The same store as before, once more.
    Again = 1,
}

/// The file of one thread.
pub(crate) struct Ledger(File);

impl Ledger {
    /// Opens it, and cuts off half a line that a kill has left.
    pub(crate) fn open(folder: &Path, thread: u32) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path(folder, thread))?;
        let whole = file.metadata()?.len() / LINE_BYTES as u64 * LINE_BYTES as u64;
        file.set_len(whole)?;
        Ok(Self(file))
    }

    pub(crate) fn write(&mut self, token: u32, how: How) -> io::Result<()> {
        let mut line = [0; LINE_BYTES];
        line[..4].copy_from_slice(&token.to_be_bytes());
        line[7] = how as u8;
        self.0.write_all(&line)
    }
}

/// Lines of all threads.
pub(crate) fn lines(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for thread in 0..THREADS {
        bytes += fs::metadata(path(folder, thread)).map_or(0, |metadata| metadata.len());
    }
    Ok(bytes / LINE_BYTES as u64)
}

/// What is known of each token.
pub(crate) struct Known {
    /// A bit for each thread that was told it is its.
    owners: Vec<u8>,
    redemptions: Vec<u8>,
    again: u32,
}

/// Reads all files.
pub(crate) fn read_all(folder: &Path, tokens: u32) -> io::Result<Known> {
    let mut known =
        Known { owners: vec![0; tokens as usize], redemptions: vec![0; tokens as usize], again: 0 };
    for thread in 0..THREADS {
        let bytes = fs::read(path(folder, thread)).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(Vec::new()),
            _ => Err(error),
        })?;
        let (lines, _) = bytes.as_chunks::<LINE_BYTES>();
        for &[a, b, c, d, .., how] in lines {
            let token = u32::from_be_bytes([a, b, c, d]) as usize;
            known.owners[token] |= 1 << thread;
            if how == How::Redeemed as u8 {
                known.redemptions[token] = known.redemptions[token].saturating_add(1);
            } else {
                known.again += 1;
            }
        }
    }
    Ok(known)
}

impl Known {
    pub(crate) fn had_count(&self) -> u32 {
        u32::try_from(self.owners.iter().filter(|owners| **owners != 0).count()).unwrap_or(u32::MAX)
    }

    /// The first token that nobody has.
    pub(crate) fn first_missing(&self) -> u32 {
        let first = self.owners.iter().position(|owners| *owners == 0).unwrap_or(self.owners.len());
        u32::try_from(first).unwrap_or(u32::MAX)
    }

    pub(crate) fn sum(&self, tokens: u32, kills: u32) -> Sum {
        let is_double = |(owners, redemptions): (&u8, &u8)| owners.count_ones() > 1 || *redemptions > 1;
        let double_spends = self.owners.iter().zip(&self.redemptions).filter(|of| is_double(*of)).count();
        Sum { tokens, kills, double_spends, false_refusals: tokens - self.had_count(), again: self.again }
    }
}

/// What a race came to.
pub(crate) struct Sum {
    pub(crate) tokens: u32,
    pub(crate) kills: u32,
    pub(crate) double_spends: usize,
    pub(crate) false_refusals: u32,
    again: u32,
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tokens, {} threads, {} kills: {} spent twice, {} had by nobody; {} stores accepted again after a kill",
            self.tokens, THREADS, self.kills, self.double_spends, self.false_refusals, self.again
        )
    }
}

fn path(folder: &Path, thread: u32) -> PathBuf {
    folder.join(format!("told-{thread}"))
}
