//! The members of `RateLimit` and `RateLimit-Policy`.

use std::time::Duration;

use sfv::BareItemFromInput;

use super::{
    member::{Malformed, Member},
    quota::{QuotaLeft, QuotaPolicy, QuotaUnit},
};

/// Reads `"name";r=50;t=30`.
pub(super) fn left(member: Member<'_>) -> Result<QuotaLeft, Malformed> {
    Ok(QuotaLeft {
        name: member.name,
        remaining: integer(member.r)?.ok_or(Malformed)?,
        reset: integer(member.t)?.map(Duration::from_secs),
        partition: bytes(member.pk)?,
    })
}

/// Reads `"name";q=100;w=60`.
pub(super) fn policy(member: Member<'_>) -> Result<QuotaPolicy, Malformed> {
    let unit = match member.qu {
        None => QuotaUnit::Requests,
        Some(BareItemFromInput::String(unit)) => match unit.as_str() {
            // The draft's text uses `requests`, its registry `request`.
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

/// Reads an optional non-negative Integer.
fn integer(item: Option<BareItemFromInput<'_>>) -> Result<Option<u64>, Malformed> {
    let Some(item) = item else {
        return Ok(None);
    };
    let BareItemFromInput::Integer(value) = item else {
        return Err(Malformed);
    };
    u64::try_from(value).map(Some).map_err(|_| Malformed)
}

/// Reads an optional Byte Sequence.
fn bytes(item: Option<BareItemFromInput<'_>>) -> Result<Option<Vec<u8>>, Malformed> {
    match item {
        None => Ok(None),
        Some(BareItemFromInput::ByteSequence(bytes)) => Ok(Some(bytes)),
        Some(_) => Err(Malformed),
    }
}
