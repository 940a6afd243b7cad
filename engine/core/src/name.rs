//! Names that people mistype: the nearest of those there are.

use crate::limits::NAME_SIGNS_MAX;

/// The name of `names` that is nearest to `name`, by the signs to insert, drop or replace. `None` if there are
/// none. Of `name` only the first [`NAME_SIGNS_MAX`] signs are looked at.
///
/// ```
/// assert_eq!(herald_core::nearest_name("retenton", ["retention", "listen"]), Some("retention"));
/// ```
pub fn nearest_name<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names.into_iter().min_by_key(|candidate| distance(candidate, name))
}

/// Levenshtein distance, for names of a few signs.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(NAME_SIGNS_MAX).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, sign) in left.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (index, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(sign != *other);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[right.len()]
}
