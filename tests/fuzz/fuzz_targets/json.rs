//! Feeds [`herald_fuzz::json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::json::check(data));
