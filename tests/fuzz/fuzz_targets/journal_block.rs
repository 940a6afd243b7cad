//! Feeds [`herald_fuzz::journal_block`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::journal_block::check(data));
