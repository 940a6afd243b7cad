//! Feeds [`herald_fuzz::bundle`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::bundle::check(data));
