//! Headers between the parts.

use http::HeaderName;

/// The publisher that shows the ad.
pub(crate) const PUBLISHER: HeaderName = HeaderName::from_static("x-publisher");
/// The importance of the request: one of the four criticalities.
pub(crate) const CRITICALITY: HeaderName = HeaderName::from_static("x-criticality");
/// The request's service time at the store, as a multiple of the usual one.
pub(crate) const COST: HeaderName = HeaderName::from_static("x-cost");
/// The source of the ad in a response: [`FROM_AUCTION`] or [`HOUSE`].
pub(crate) const AD: HeaderName = HeaderName::from_static("x-ad");
/// The value of [`AD`] when a bidder won.
pub(crate) const FROM_AUCTION: &str = "auction";
/// The value of [`AD`] for a house ad.
pub(crate) const HOUSE: &str = "house";
/// Number of bidders that an auction did not ask, because their circuits were open.
pub(crate) const BIDS_REFUSED: HeaderName = HeaderName::from_static("x-bids-refused");
/// The policy that rejected, a header of Plimsoll's.
pub(crate) const REFUSED_BY: HeaderName = HeaderName::from_static("plimsoll-rejected-by");
/// Marks a fallback response and names the rejection that it replaces, a header of Plimsoll's.
pub(crate) const DEGRADED: HeaderName = HeaderName::from_static("plimsoll-degraded");
/// Set on auctions that analytics did not record.
pub(crate) const UNRECORDED: HeaderName = HeaderName::from_static("x-unrecorded");
