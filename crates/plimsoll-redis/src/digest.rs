//! The hash that stands for a key in Redis: equal on all replicas, and not invertible.

use std::{fmt, hash::Hash, hash::Hasher};

use sha2::{Digest as _, Sha256};

/// The first 128 bits of SHA-256, over the shared secret and what the key's [`Hash`] writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(crate) [u8; 16]);

/// Computes digests. The secret is hashed once, as a whole block.
#[derive(Clone)]
pub(crate) struct Digests(Sha256);

impl Digests {
    pub(crate) fn new(secret: &[u8]) -> Self {
        let mut start = Sha256::new();
        if !secret.is_empty() {
            let mut block = [0; 64];
            block[..32].copy_from_slice(&Sha256::digest(secret));
            start.update(block);
        }
        Self(start)
    }

    /// The digest of a key. `None` is the key that all requests without a key share.
    pub(crate) fn of(&self, key: Option<impl Hash>) -> Digest {
        let mut hasher = Bytes(self.0.clone());
        hasher.write_u8(u8::from(key.is_some()));
        if let Some(key) = key {
            key.hash(&mut hasher);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&hasher.0.finalize()[..16]);
        Digest(digest)
    }
}

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digests")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Feeds SHA-256. Numbers are written in one byte order and width on every machine.
struct Bytes(Sha256);

macro_rules! little_endian {
    ($($write:ident: $type:ty as $wide:ty;)*) => {$(
        fn $write(&mut self, n: $type) {
            self.0.update((n as $wide).to_le_bytes());
        }
    )*};
}

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    little_endian! {
        write_u16: u16 as u16;
        write_u32: u32 as u32;
        write_u64: u64 as u64;
        write_u128: u128 as u128;
        write_usize: usize as u64;
        write_i16: i16 as i16;
        write_i32: i32 as i32;
        write_i64: i64 as i64;
        write_i128: i128 as i128;
        write_isize: isize as i64;
    }

    /// Never called: the digest is read from the state.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fixed values: a later version must find the same keys in Redis.
    #[test]
    fn digests_do_not_change_between_versions() {
        let plain = Digests::new(b"");
        let of = |key: &[u8]| plain.of(Some(key)).to_string();
        assert_eq!(of(b"a key"), "e1d5400240e85fc451fabe3de0d008e3");
        assert_eq!(
            plain.of(Some((7_u32, 9_usize))).to_string(),
            "fef2dfa6475edf3c0f9c084efe591078"
        );
        assert_eq!(
            plain.of(None::<()>).to_string(),
            "6e340b9cffb37a989ca544e6bb780a2c"
        );
        let keyed = Digests::new(b"secret");
        assert_eq!(
            keyed.of(Some(&b"a key"[..])).to_string(),
            "bc22ff613a12451e98960d7a97728cc9"
        );
    }

    #[test]
    fn a_missing_key_differs_from_the_empty_key() {
        let plain = Digests::new(b"");
        assert_ne!(plain.of(None::<()>), plain.of(Some(())));
    }
}
