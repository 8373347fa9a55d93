//! An auction: one look-up in the store, then three bids, then the highest of them or a house ad.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::future::join_all;
use http_body_util::Full;
use plimsoll_sampling::Sampled;

use super::{
    analytics::Analytics,
    bids::{Bid, Bidder},
    http_client::HttpClient,
};
use crate::{settings::BIDDERS, wire};

/// The content type of ads.
const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json");

/// The state of the auction handler.
pub(super) struct Auctions {
    pub(super) store: SocketAddr,
    pub(super) client: HttpClient,
    pub(super) bidders: Vec<Bidder>,
    pub(super) analytics: Arc<Analytics>,
}

/// `POST /auction`.
pub(super) async fn run(State(auctions): State<Arc<Auctions>>, request: Request) -> Response {
    // Without a sampling layer every auction is kept.
    let sampled = Sampled::of(&request);
    if let Err(status) = auctions
        .look_up(request.headers().get(wire::COST).cloned())
        .await
    {
        return status.into_response();
    }
    let bids = join_all(auctions.bidders.iter().map(Bidder::bid)).await;
    let refused = bids
        .iter()
        .filter(|bid| matches!(bid, Bid::Refused))
        .count();
    let prices = bids
        .iter()
        .enumerate()
        .filter_map(|(bidder, bid)| match bid {
            Bid::Price(price) => Some((*price, bidder)),
            Bid::None | Bid::Refused => None,
        });
    let winner = prices.max();
    auctions.analytics.record(sampled, winner);

    let mut response = match winner {
        Some((price, bidder)) => {
            let ad = format!("{{\"ad\":\"{}\",\"price\":{price}}}", BIDDERS[bidder]);
            ([(wire::AD, wire::FROM_AUCTION), JSON], ad).into_response()
        }
        None => house_ad().map(Body::from),
    };
    let headers = response.headers_mut();
    if refused > 0 {
        headers.insert(wire::BIDS_REFUSED, refused.into());
    }
    if !sampled.keep {
        headers.insert(wire::UNRECORDED, HeaderValue::from_static("1"));
    }
    response
}

/// Returns an ad of the server's own, which needs neither store nor bidders.
pub(super) fn house_ad() -> Response<&'static str> {
    let mut response = Response::new("{\"ad\":\"house\",\"price\":0}");
    for (name, value) in [(wire::AD, wire::HOUSE), JSON] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Auctions {
    /// Asks the store for the visitor and the matching campaigns.
    async fn look_up(&self, cost: Option<HeaderValue>) -> Result<(), StatusCode> {
        let mut request = Request::post(format!("http://{}/lookup", self.store));
        if let Some(cost) = cost {
            request = request.header(wire::COST, cost);
        }
        let request = request
            .body(Full::default())
            .map_err(|_| StatusCode::BAD_REQUEST)?;
        match self.client.request(request).await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(_) | Err(_) => Err(StatusCode::BAD_GATEWAY),
        }
    }
}
