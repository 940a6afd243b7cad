//! Feeds [`herald_fuzz::number`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::number::check(data));
