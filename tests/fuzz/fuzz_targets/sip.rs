//! Feeds [`herald_fuzz::sip`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::sip::check(data));
