//! The rule that RocksDB's C++ is compiled once, whatever is built.
//!
//! Cargo compiles a crate again when the features of what its build script uses differ between two selections of
//! packages; for RocksDB that is ten minutes instead of none. This module reads the output of `cargo tree`; it
//! does not know which feature belongs to whom.

use std::collections::BTreeSet;

/// The crate whose build script compiles RocksDB.
pub const CRATE: &str = "librocksdb-sys";

/// The subtree of [`CRATE`] in `tree`: packages with their features, in no order.
///
/// `tree` is the output of `cargo tree --no-dedupe --prefix depth -f ' {p} {f}'`. Empty if the crate is not in it.
pub fn subtree(tree: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut top = None;
    for line in tree.lines() {
        let Some((depth, package)) = line.split_once(' ') else { continue };
        let Ok(depth) = depth.parse::<usize>() else { continue };
        if top.is_some_and(|top| depth <= top) {
            top = None;
        }
        if top.is_none() && package.split(' ').next() == Some(CRATE) {
            top = Some(depth);
        }
        if top.is_some() {
            found.insert(package);
        }
    }
    found
}

/// What stands in only one of the two subtrees; empty when one of them has no RocksDB at all.
pub fn differences(one: &str, other: &str) -> Vec<String> {
    let (one, other) = (subtree(one), subtree(other));
    if one.is_empty() || other.is_empty() {
        return Vec::new();
    }
    one.symmetric_difference(&other).map(|package| (*package).to_owned()).collect()
}
