//! The ad server: an axum app that queries a store, asks three bidders, and logs impressions.
//!
//! [`bare`] and [`protected`] are the same app with the same handlers; only the layers differ.

mod analytics;
mod auction;
mod bids;
mod gates;
mod http_client;
mod impressions;

use std::{error::Error, io, net::SocketAddr, path::Path, sync::Arc};

use axum::{Router, routing::post};
use plimsoll_dashboard::dashboard;
use plimsoll_metrics::Metrics;

use self::{
    analytics::Analytics, auction::Auctions, bids::Bidder, http_client::http_client,
    impressions::ImpressionLog,
};
use crate::{
    args::Part,
    proc::{self, Commands},
    settings::BIDDERS,
};

/// Addresses of the other parts.
struct Neighbours {
    store: SocketAddr,
    bidders: Vec<SocketAddr>,
}

/// Builds the app without protection.
async fn bare(neighbours: Neighbours, log: &Path) -> io::Result<Router> {
    let client = http_client();
    let bidders = neighbours
        .bidders
        .into_iter()
        .map(|at| Bidder::bare(at, client.clone()));
    let auctions = Auctions {
        bidders: bidders.collect(),
        store: neighbours.store,
        client,
        analytics: Arc::default(),
    };
    let impressions = ImpressionLog::unbounded(log).await?;
    Ok(Router::new()
        .route(
            "/auction",
            post(auction::run).with_state(Arc::new(auctions)),
        )
        .route(
            "/impression",
            post(impressions::take).with_state(impressions),
        ))
}

/// Builds the same app with a gate at each of the four places that can be overloaded.
async fn protected(
    neighbours: Neighbours,
    log: &Path,
    capacity: f64,
) -> Result<Router, Box<dyn Error>> {
    let metrics = Metrics::new();
    let auction = gates::auction(&metrics, capacity)?;
    let (logger, depth) = gates::logger(&metrics)?;
    let analytics = Arc::new(Analytics::default());
    analytics.show(&metrics)?;

    let client = http_client();
    let bidders = neighbours
        .bidders
        .into_iter()
        .zip(BIDDERS)
        .map(|(at, name)| {
            let breaker = gates::bidder(&metrics, name)?;
            Ok::<_, Box<dyn Error>>(Bidder::behind(breaker, at, client.clone()))
        });
    let auctions = Auctions {
        bidders: bidders.collect::<Result<_, _>>()?,
        store: neighbours.store,
        client,
        analytics,
    };
    let impressions = ImpressionLog::bounded(log, depth).await?;
    Ok(Router::new()
        .route(
            "/auction",
            post(auction::run)
                .with_state(Arc::new(auctions))
                .layer(auction),
        )
        .route(
            "/impression",
            post(impressions::take)
                .with_state(impressions)
                .layer(logger),
        )
        // Outside the gates: an operator needs a response most while requests are rejected.
        .nest("/plimsoll", dashboard(&metrics))
        .route_service("/metrics", metrics.service())
        .route_service("/health/load", metrics.service())
        .route_service("/health/ready", metrics.service()))
}

/// Serves the app with or without the gates, by the part's role, until the parent process ends.
pub(crate) async fn run(part: Part, mut commands: Commands) -> io::Result<()> {
    let missing = |what: &str| io::Error::other(format!("the server needs {what}"));
    let store = part.store.ok_or_else(|| missing("--store"))?;
    let log = part.log.ok_or_else(|| missing("--log"))?;
    let capacity = part.capacity.ok_or_else(|| missing("--capacity"))?;
    let neighbours = Neighbours {
        store,
        bidders: part.bidders,
    };
    let app = if part.role == "server-bare" {
        bare(neighbours, &log).await?
    } else {
        protected(neighbours, &log, capacity)
            .await
            .map_err(|e| io::Error::other(e.to_string()))?
    };
    let serving = proc::serve(app).await?;
    while commands.next().await.is_some() {}
    serving.abort();
    Ok(())
}
