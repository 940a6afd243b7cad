//! Feeds [`herald_fuzz::table`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::table::check(data));
