//! The decision which requests are kept at a given rate: at random, or by key.

use std::hash::{Hash, Hasher};

use plimsoll_core::{Key, policy::Counter};

/// Draws a number for a request, uniform in `0.0..1.0`. The request is kept when the number is
/// below the rate.
///
/// So a request that is kept at a rate is kept at every higher rate. The draw must not depend on
/// the load: the weights are unbiased only when the rate is fixed before the draw.
#[diagnostic::on_unimplemented(
    message = "`{Self}` draws no number for a `{Req}`",
    note = "use `Random`, or `ByKey::new(key)` with a key that can be read from this request type"
)]
pub trait Draw<Req>: Send + Sync {
    /// The number drawn for this request.
    fn draw(&self, req: &Req) -> f64;
}

/// Draws each request independently at random. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl<Req> Draw<Req> for Random {
    #[inline]
    fn draw(&self, _: &Req) -> f64 {
        fastrand::f64()
    }
}

/// Draws by a key: requests of one key (a trace, a session, a user) are kept or left out together,
/// in all processes that hash the same key with the same salt.
///
/// Requests without a key are drawn at random, and counted in [`keyless`](ByKey::keyless).
///
/// The hash is stable across processes and versions, and not secret: a caller that chooses its key
/// can choose to be kept. Change the salt from time to time when the same keys should not always be
/// left out.
#[derive(Debug)]
pub struct ByKey<K> {
    key: K,
    salt: u64,
    keyless: Counter,
}

impl<K> ByKey<K> {
    /// Draws by `key`, such as [`TraceId`](crate::TraceId), [`HeaderKey`](plimsoll_core::HeaderKey)
    /// or a closure `Fn(&Req) -> Option<impl Hash>`.
    pub const fn new(key: K) -> Self {
        Self {
            key,
            salt: 0,
            keyless: Counter::new(),
        }
    }

    /// Sets the salt. Default: 0.
    #[must_use]
    pub const fn salt(mut self, salt: u64) -> Self {
        self.salt = salt;
        self
    }

    /// The number of requests without a key.
    pub fn keyless(&self) -> u64 {
        self.keyless.get()
    }
}

impl<Req, K: Key<Req>> Draw<Req> for ByKey<K> {
    #[inline]
    fn draw(&self, req: &Req) -> f64 {
        let Some(key) = self.key.key(req) else {
            self.keyless.add();
            return fastrand::f64();
        };
        let mut hasher = Stable(self.salt ^ 0xcbf2_9ce4_8422_2325);
        key.hash(&mut hasher);
        unit(hasher.finish())
    }
}

/// The upper 53 bits, the precision of a double, as a number in `0.0..1.0`.
#[inline]
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

/// FNV-1a with the finaliser of `SplitMix64`, because FNV mixes its upper bits badly. Integers are
/// hashed in little-endian order on all machines.
struct Stable(u64);

macro_rules! little_endian {
    ($($write:ident($number:ty))*) => {$(
        #[inline]
        fn $write(&mut self, number: $number) {
            self.write(&number.to_le_bytes());
        }
    )*};
}

impl Hasher for Stable {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    little_endian! {
        write_u16(u16) write_u32(u32) write_u64(u64) write_u128(u128)
        write_i16(i16) write_i32(i32) write_i64(i64) write_i128(i128)
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn write_isize(&mut self, number: isize) {
        self.write_i64(number as i64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(salt: u64, key: &str) -> f64 {
        ByKey::new(|key: &String| Some(key.clone()))
            .salt(salt)
            .draw(&key.to_owned())
    }

    /// Figures of a model of the same functions in another language: the hash must be equal in all
    /// versions.
    #[test]
    fn the_hash_never_changes() {
        for (salt, key, expected) in EXPECTED {
            assert!(
                (draw(salt, key) - expected).abs() < 1e-15,
                "{key}: {}",
                draw(salt, key)
            );
        }
    }

    const EXPECTED: [(u64, &str, f64); 3] = [
        (0, "ann", 0.101_097_400_503_502_58),
        (0, "bob", 0.881_618_304_272_471_3),
        (7, "ann", 0.640_847_420_974_676_7),
    ];

    #[test]
    fn the_unit_interval_includes_0_and_excludes_1() {
        assert!(unit(0).abs() < f64::EPSILON);
        assert!(unit(u64::MAX) < 1.0);
    }
}
