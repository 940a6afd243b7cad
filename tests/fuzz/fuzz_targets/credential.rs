//! Feeds [`herald_fuzz::credential`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::credential::check(data));
