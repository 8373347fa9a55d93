//! Bids: a request to each bidder, with a time limit.

use std::net::SocketAddr;

use axum::{
    body::Body,
    http::{Request, Response},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use plimsoll_circuit_breaker::CircuitBreakerLayer;
use plimsoll_core::Rejection;
use tower::{BoxError, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};

use super::http_client::HttpClient;
use crate::settings::BID_TIMEOUT;

/// Longest body of a bid, which is a number, in bytes.
const MAX_BID_BYTES: usize = 256;

/// The client of one bidder, with its layers.
pub(super) struct Bidder {
    address: SocketAddr,
    service: BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, BoxError>,
}

/// The result of asking a bidder.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bid {
    /// A price in thousandths of a cent.
    Price(u32),
    /// No response in time, or a failure.
    None,
    /// Not asked, because its circuit is open.
    Refused,
}

impl Bidder {
    /// Creates a client with a time limit only.
    pub(super) fn bare(address: SocketAddr, client: HttpClient) -> Self {
        let service = ServiceBuilder::new()
            .map_response(|response: Response<_>| response.map(Body::new))
            .timeout(BID_TIMEOUT)
            .service(client);
        Self {
            address,
            service: BoxCloneSyncService::new(service),
        }
    }

    /// Creates a client with a time limit behind a circuit breaker, which counts a timeout as a
    /// failure.
    pub(super) fn behind(
        breaker: CircuitBreakerLayer,
        address: SocketAddr,
        client: HttpClient,
    ) -> Self {
        let service = ServiceBuilder::new()
            .map_response(|response: Response<_>| response.map(Body::new))
            .layer(breaker)
            .timeout(BID_TIMEOUT)
            .service(client);
        Self {
            address,
            service: BoxCloneSyncService::new(service),
        }
    }

    /// Asks for a bid.
    pub(super) async fn bid(&self) -> Bid {
        let uri = format!("http://{}/bid", self.address);
        let Ok(request) = Request::post(uri).body(Full::default()) else {
            return Bid::None;
        };
        let Ok(response) = self.service.clone().oneshot(request).await else {
            return Bid::None;
        };
        if response.extensions().get::<Rejection>().is_some() {
            return Bid::Refused;
        }
        if !response.status().is_success() {
            return Bid::None;
        }
        let Ok(body) = Limited::new(response.into_body(), MAX_BID_BYTES)
            .collect()
            .await
        else {
            return Bid::None;
        };
        let bytes = body.to_bytes();
        std::str::from_utf8(&bytes)
            .ok()
            .and_then(|text| text.parse().ok())
            .map_or(Bid::None, Bid::Price)
    }
}
