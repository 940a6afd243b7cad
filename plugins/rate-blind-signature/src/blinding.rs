//! The client's arithmetic (RFC 9474 §4.2 and §4.4): modulo a public number, in constant time in all that is secret.
//!
//! crypto-bigint, which P-256 keys bring anyway, does it in safe Rust. AWS-LC's numbers would be a second file of unsafe
//! code for nothing: the client holds no private key, and its secrets serve once.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use herald_plugin_sdk::Secret;
use zeroize::Zeroizing;

use crate::limits::DRAWS_MAX;

/// The public exponent of every key.
const EXPONENT: u32 = 65537;
const EXPONENT_BITS: u32 = 17;

/// Numbers below a public modulus, as bytes of the modulus' length.
pub(crate) struct Modulus {
    params: BoxedMontyParams,
    value: BoxedUint,
    bytes: usize,
}

impl Modulus {
    /// The numbers below `modulus`, which has no leading zeros; `None` if it is even.
    pub(crate) fn new(modulus: &[u8]) -> Option<Self> {
        let value = BoxedUint::from_be_slice(modulus, bits(modulus.len())).ok()?;
        let odd = Odd::new(value.clone()).into_option()?;
        Some(Self { params: BoxedMontyParams::new_vartime(odd), value, bytes: modulus.len() })
    }

    /// `message` blinded with `blind`: times `blind` to the public exponent.
    pub(crate) fn blind(&self, message: &[u8], blind: &[u8]) -> Option<Vec<u8>> {
        let blind =
            Zeroizing::new(self.number(blind)?.pow_bounded_exp(&BoxedUint::from(EXPONENT), EXPONENT_BITS));
        Some(self.bytes(&self.number(message)?.mul(&blind)))
    }

    /// `signature` of what was blinded, times the inverse of the blind.
    pub(crate) fn unblind(&self, signature: &[u8], inverse: &[u8]) -> Option<Vec<u8>> {
        let inverse = self.number(inverse)?;
        Some(self.bytes(&self.number(signature)?.mul(&inverse)))
    }

    /// The inverse of `value`, if it has one.
    pub(crate) fn invert(&self, value: &[u8]) -> Option<Secret> {
        let inverse = Zeroizing::new(self.number(value)?.invert().into_option()?);
        Some(Zeroizing::new(self.bytes(&inverse)))
    }

    /// A number that has an inverse, with it: each with the same probability. Drawn again until there is one.
    // rfc9474:4.2-1, rfc9474:4.2-3.
    pub(crate) fn draw(&self, random: &mut dyn FnMut(&mut [u8])) -> Option<(Secret, Secret)> {
        let mut drawn = Zeroizing::new(vec![0; self.bytes]);
        for _ in 0..DRAWS_MAX {
            random(&mut drawn);
            if let Some(inverse) = self.invert(&drawn) {
                return Some((drawn, inverse));
            }
        }
        None
    }

    fn number(&self, bytes: &[u8]) -> Option<Zeroizing<BoxedMontyForm>> {
        if bytes.len() != self.bytes {
            return None;
        }
        let value = BoxedUint::from_be_slice(bytes, bits(self.bytes)).ok()?;
        (value < self.value).then(|| Zeroizing::new(BoxedMontyForm::new(value, &self.params)))
    }

    fn bytes(&self, number: &BoxedMontyForm) -> Vec<u8> {
        let bytes = number.retrieve().to_be_bytes();
        bytes[bytes.len() - self.bytes..].to_vec()
    }
}

fn bits(bytes: usize) -> u32 {
    u32::try_from(bytes * 8).unwrap_or(u32::MAX)
}
