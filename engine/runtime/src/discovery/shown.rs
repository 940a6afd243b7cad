//! Which certificates sources were shown lately, so that a thousand calls of one signer show its certificate once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use herald_core::Timestamp;

use crate::limits::{SHOWN_AGAIN_MS, SHOWN_CERTIFICATES_MAX};

/// When which certificate was shown, by a tag that nobody can choose to be alike.
#[derive(Default)]
pub(super) struct Shown {
    tags: RandomState,
    shown: HashMap<u64, Timestamp>,
}

impl Shown {
    /// Whether it has not been shown for a while; from now on it has.
    pub(super) fn is_news(&mut self, der: &[u8], now: Timestamp) -> bool {
        let tag = self.tags.hash_one(der);
        if self.shown.get(&tag).is_some_and(|&at| now.millis_since(at) < SHOWN_AGAIN_MS) {
            return false;
        }
        if self.shown.len() >= SHOWN_CERTIFICATES_MAX {
            self.shown.retain(|_, at| now.millis_since(*at) < SHOWN_AGAIN_MS);
        }
        if self.shown.len() >= SHOWN_CERTIFICATES_MAX {
            return false;
        }
        self.shown.insert(tag, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_shown_once_in_a_while_and_never_too_many() {
        let mut shown = Shown::default();
        let mut is_news = |text: &str, ms| shown.is_news(text.as_bytes(), Timestamp::from_millis(ms));
        assert_eq!([is_news("a", 0), is_news("a", SHOWN_AGAIN_MS - 1), is_news("b", 1)], [true, false, true]);
        assert!(is_news("a", SHOWN_AGAIN_MS));
        let again = 2 * SHOWN_AGAIN_MS;
        let taken =
            (0..2 * SHOWN_CERTIFICATES_MAX).filter(|index| is_news(&index.to_string(), again)).count();
        assert_eq!(taken, SHOWN_CERTIFICATES_MAX);
        assert!(is_news("c", 2 * again));
    }
}
