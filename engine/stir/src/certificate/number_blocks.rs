//! A set of telephone numbers as sorted blocks: looked up and compared in logarithmic time. It does not know
//! whose the numbers are.

use herald_core::TelephoneNumber;

/// Numbers, each once, in blocks that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NumberBlocks {
    /// All-digit numbers, sorted.
    blocks: Vec<Block>,
    /// Numbers with `*` or `#`, sorted. They have no order that ranges could use.
    others: Vec<TelephoneNumber>,
}

/// All-digit numbers of one length, first to last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    sign_count: usize,
    /// Below 10^15, as the last, so that one more never overflows.
    first: u64,
    last: u64,
}

impl core::fmt::Debug for Block {
    /// Numbers must not reach a log.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Block({} numbers)", self.last - self.first + 1)
    }
}

impl NumberBlocks {
    /// The set of all numbers in `ranges`, each a first number and a count. A count above 1 behind a number that
    /// is not all digits adds the first number only. O(n log n).
    pub(super) fn new(ranges: impl Iterator<Item = (TelephoneNumber, u64)>) -> Self {
        let (mut blocks, mut others) = (Vec::new(), Vec::new());
        for (start, count) in ranges {
            match value(start) {
                Some(first) => {
                    let last = first.saturating_add(count.max(1) - 1);
                    blocks.push(Block { sign_count: start.sign_count(), first, last });
                }
                None => others.push(start),
            }
        }
        others.sort_unstable();
        others.dedup();
        Self { blocks: merged(blocks), others }
    }

    /// Whether it holds `number`. O(log n).
    pub(super) fn contains(&self, number: TelephoneNumber) -> bool {
        match value(number) {
            Some(value) => self.holds(&Block { sign_count: number.sign_count(), first: value, last: value }),
            None => self.others.binary_search(&number).is_ok(),
        }
    }

    /// Whether all its numbers are in `other`. O(n log m).
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.blocks.iter().all(|block| other.holds(block))
            && self.others.iter().all(|number| other.others.binary_search(number).is_ok())
    }

    /// Whether one of the blocks holds all of `asked`. As no two touch, numbers in a row are never in two.
    fn holds(&self, asked: &Block) -> bool {
        let key = (asked.sign_count, asked.first);
        let after = self.blocks.partition_point(|block| (block.sign_count, block.first) <= key);
        let before = after.checked_sub(1).map(|index| &self.blocks[index]);
        before.is_some_and(|block| block.sign_count == asked.sign_count && asked.last <= block.last)
    }
}

fn merged(mut blocks: Vec<Block>) -> Vec<Block> {
    blocks.sort_unstable();
    let mut merged: Vec<Block> = Vec::with_capacity(blocks.len());
    for block in blocks {
        match merged.last_mut() {
            Some(last) if last.sign_count == block.sign_count && block.first <= last.last + 1 => {
                last.last = last.last.max(block.last);
            }
            _ => merged.push(block),
        }
    }
    merged
}

/// The value of an all-digit number: below 10^15.
fn value(number: TelephoneNumber) -> Option<u64> {
    number
        .signs()
        .try_fold(0u64, |value, sign| sign.is_ascii_digit().then(|| value * 10 + u64::from(sign - b'0')))
}
