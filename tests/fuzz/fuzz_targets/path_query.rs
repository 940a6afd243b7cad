//! Feeds [`herald_fuzz::path_query`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| herald_fuzz::path_query::check(data));
