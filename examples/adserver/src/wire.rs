//! The headers that the parts send each other.

use http::HeaderName;

/// Who shows the ad.
pub(crate) const PUBLISHER: HeaderName = HeaderName::from_static("x-publisher");
/// How much the request matters: one of the four criticalities.
pub(crate) const CRITICALITY: HeaderName = HeaderName::from_static("x-criticality");
/// What the request costs the store, as a multiple of the usual.
pub(crate) const COST: HeaderName = HeaderName::from_static("x-cost");
/// Where the ad in an answer comes from: [`FROM_AUCTION`] or [`HOUSE`].
pub(crate) const AD: HeaderName = HeaderName::from_static("x-ad");
/// The value of [`AD`] when a bidder won.
pub(crate) const FROM_AUCTION: &str = "auction";
/// The value of [`AD`] when nobody did.
pub(crate) const HOUSE: &str = "house";
/// How many bidders an auction did not ask, because their circuits were open.
pub(crate) const BIDS_REFUSED: HeaderName = HeaderName::from_static("x-bids-refused");
/// The policy that refused, as Plimsoll names it on the wire.
pub(crate) const REFUSED_BY: HeaderName = HeaderName::from_static("plimsoll-rejected-by");
/// Marks a second-best answer and says whose refusal it stands for, as Plimsoll does.
pub(crate) const DEGRADED: HeaderName = HeaderName::from_static("plimsoll-degraded");
/// On auctions that analytics left out.
pub(crate) const UNRECORDED: HeaderName = HeaderName::from_static("x-unrecorded");
