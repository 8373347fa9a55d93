//! What the members of `RateLimit` and `RateLimit-Policy` are made of.

use std::time::Duration;

use sfv::BareItemFromInput;

use super::{
    QuotaLeft, QuotaPolicy, QuotaUnit,
    member::{Malformed, Member},
};

/// `"name";r=50;t=30`.
pub(super) fn left(member: Member<'_>) -> Result<QuotaLeft, Malformed> {
    Ok(QuotaLeft {
        name: member.name,
        remaining: integer(member.r)?.ok_or(Malformed)?,
        reset: integer(member.t)?.map(Duration::from_secs),
        partition: bytes(member.pk)?,
    })
}

/// `"name";q=100;w=60`.
pub(super) fn policy(member: Member<'_>) -> Result<QuotaPolicy, Malformed> {
    let unit = match member.qu {
        None => QuotaUnit::Requests,
        Some(BareItemFromInput::String(unit)) => match unit.as_str() {
            // The draft's text says one, its registry the other.
            "requests" | "request" => QuotaUnit::Requests,
            "content-bytes" => QuotaUnit::ContentBytes,
            "concurrent-requests" => QuotaUnit::ConcurrentRequests,
            other => QuotaUnit::Other(other.to_owned()),
        },
        Some(_) => return Err(Malformed),
    };
    let window = integer(member.w)?;
    if window == Some(0) {
        return Err(Malformed);
    }
    Ok(QuotaPolicy {
        name: member.name,
        limit: integer(member.q)?.ok_or(Malformed)?,
        unit,
        window: window.map(Duration::from_secs),
        partition: bytes(member.pk)?,
    })
}

/// A non-negative Integer, if there is one.
fn integer(item: Option<BareItemFromInput<'_>>) -> Result<Option<u64>, Malformed> {
    let Some(item) = item else {
        return Ok(None);
    };
    let BareItemFromInput::Integer(value) = item else {
        return Err(Malformed);
    };
    u64::try_from(value).map(Some).map_err(|_| Malformed)
}

/// A Byte Sequence, if there is one.
fn bytes(item: Option<BareItemFromInput<'_>>) -> Result<Option<Vec<u8>>, Malformed> {
    match item {
        None => Ok(None),
        Some(BareItemFromInput::ByteSequence(bytes)) => Ok(Some(bytes)),
        Some(_) => Err(Malformed),
    }
}
