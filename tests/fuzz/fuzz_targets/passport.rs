//! Feeds [`herald_fuzz::passport`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::passport::check(data));
