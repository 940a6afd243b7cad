//! What the tests share: vectors, hexadecimal, and two sources of randomness.

#![allow(dead_code, reason = "each test file uses its own part")]

use core::convert::Infallible;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use herald_plugin_sdk::{Mode, Want};
use rand_core::{TryCryptoRng, TryRng};
use ring::rand::{SecureRandom, SystemRandom};

/// The vectors in a file below `vectors/` of `$HERALD_SHARED`, or of `shared` beside the workspace.
pub(crate) fn vectors(name: &str) -> Vec<serde_json::Value> {
    let root = std::env::var_os("HERALD_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let path = root.join("vectors").join(name);
    let text = std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; set HERALD_SHARED to the folder that holds vectors/", path.display())
    });
    serde_json::from_slice(&text).expect("the vectors are JSON")
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text:?} is no hexadecimal");
    let byte = |index| u8::from_str_radix(&text[index..index + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// Hands out what it was given, in the sizes in which it was given.
pub(crate) struct Script(pub(crate) VecDeque<Vec<u8>>);

impl Script {
    pub(crate) fn of(parts: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self(parts.into_iter().collect())
    }
}

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are asked for")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are asked for")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let part = self.0.pop_front().expect("no more randomness is needed than the vector has");
        out.copy_from_slice(&part);
        Ok(())
    }
}

impl TryCryptoRng for Script {}

/// The system's randomness.
pub(crate) struct System(SystemRandom);

pub(crate) fn system() -> System {
    System(SystemRandom::new())
}

impl TryRng for System {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("only bytes are asked for")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("only bytes are asked for")
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out).expect("the system has randomness");
        Ok(())
    }
}

impl TryCryptoRng for System {}

/// `count` tokens of `public_key`, to be shown.
pub(crate) fn want<'a>(public_key: &'a [u8], count: usize, challenge_digest: &'a [u8; 32]) -> Want<'a> {
    Want { mode: Mode::Bearer, count, public_key, agreement_key: &[], challenge_digest }
}
