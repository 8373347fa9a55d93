//! Reads key and cost of a request.

use plimsoll_core::{Key, Missing, Rejection};
use plimsoll_rate_limit::RequestCost;

use crate::{
    digest::{Digest, Digests},
    engine::Engine,
};

/// Reads key and cost of a request.
pub(crate) struct Reader<K, C> {
    pub(crate) key: K,
    pub(crate) missing: Missing,
    pub(crate) cost: C,
    pub(crate) digests: Digests,
}

/// What a request needs.
pub(crate) enum Demand {
    /// This many tokens of this key.
    Tokens(Digest, u32),
    /// No tokens: the request has no key, or no cost.
    None,
}

impl<K, C> Reader<K, C> {
    pub(crate) fn read<Req>(&self, req: &Req, engine: &Engine) -> Result<Demand, Rejection>
    where
        K: Key<Req>,
        C: RequestCost<Req>,
    {
        let Some(cost) = self.cost(req, engine)? else {
            return Ok(Demand::None);
        };
        let key = self.key.key(req);
        if key.is_none() {
            engine.counts.missing.note(&self.key, req, self.missing);
            match self.missing {
                Missing::Admit => return Ok(Demand::None),
                Missing::Reject(kind) => return Err(Rejection::new("missing-key", kind)),
                Missing::Share => {}
            }
        }
        Ok(Demand::Tokens(self.digests.of(key), cost))
    }

    /// The cost of the request; `None` for 0.
    #[inline]
    pub(crate) fn cost<Req>(&self, req: &Req, engine: &Engine) -> Result<Option<u32>, Rejection>
    where
        C: RequestCost<Req>,
    {
        match self.cost.cost(req) {
            0 => Ok(None),
            cost if cost > engine.largest => Err(engine.too_large()),
            cost => Ok(Some(cost)),
        }
    }
}
