//! A key of the issuer as the vault keeps it: docs/FORMAT.md has the bytes.

use zeroize::Zeroizing;

/// A key with its secret, and what it was made for.
pub(super) struct KeptBytes {
    pub(super) token_type: u16,
    pub(super) epoch_ms: u64,
    pub(super) id: [u8; 32],
    pub(super) public_key: Vec<u8>,
    pub(super) agreement_key: Vec<u8>,
    pub(super) secret: Zeroizing<Vec<u8>>,
}

const VERSION: u8 = 1;

impl KeptBytes {
    /// `None` if a part has more bytes than a plugin may give.
    pub(super) fn to_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let parts = [&self.public_key, &self.agreement_key, &*self.secret];
        // At once as long as it will be: what grows leaves copies behind.
        let length = 43 + parts.iter().map(|part| 4 + part.len()).sum::<usize>();
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.push(VERSION);
        bytes.extend(self.token_type.to_be_bytes());
        bytes.extend(self.epoch_ms.to_be_bytes());
        bytes.extend(self.id);
        for part in parts {
            bytes.extend(u32::try_from(part.len()).ok()?.to_be_bytes());
            bytes.extend(part);
        }
        Some(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[version], rest) = bytes.split_first_chunk()?;
        let (&token_type, rest) = rest.split_first_chunk()?;
        let (&epoch_ms, rest) = rest.split_first_chunk()?;
        let (&id, mut rest) = rest.split_first_chunk()?;
        let mut part = || {
            let (&length, after) = rest.split_first_chunk()?;
            let (part, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
            rest = after;
            Some(part.to_vec())
        };
        let (public_key, agreement_key, secret) = (part()?, part()?, Zeroizing::new(part()?));
        let token_type = u16::from_be_bytes(token_type);
        let epoch_ms = u64::from_be_bytes(epoch_ms);
        let is_whole = version == VERSION && rest.is_empty();
        is_whole.then_some(Self { token_type, epoch_ms, id, public_key, agreement_key, secret })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_comes_back_as_it_was_and_a_damaged_one_not_at_all() {
        let key = KeptBytes {
            token_type: 5,
            epoch_ms: 600_000,
            id: [7; 32],
            public_key: vec![1; 33],
            agreement_key: Vec::new(),
            secret: Zeroizing::new(vec![2; 32]),
        };
        let bytes = key.to_bytes().expect("small");
        let found = KeptBytes::from_bytes(&bytes).expect("whole");
        assert_eq!((found.token_type, found.epoch_ms, found.id), (5, 600_000, [7; 32]));
        assert_eq!((found.public_key, found.agreement_key.len(), found.secret), (vec![1; 33], 0, key.secret));
        for cut in 0..bytes.len() {
            assert!(KeptBytes::from_bytes(&bytes[..cut]).is_none(), "cut at {cut}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(KeptBytes::from_bytes(&longer).is_none());
    }
}
