//! The server: one hub for all clients.

use std::time::Duration;

use plimsoll_stream::{
    Cursor, Delivery, Demand, Hub, LagPolicy,
    grpc::{Responses, credited},
};
use tokio::time::{Instant, interval};
use tonic::{Request, Response, Status, Streaming};

use crate::{Gap, Kind, Tick, Update, Want, WatchRequest, micros, proto::ticker_server};

/// How many ticks a client may be behind.
const MAX_LAG: usize = 1_000;

/// The service.
#[derive(Debug, Clone)]
pub struct Ticker {
    hub: Hub<Tick>,
}

impl Ticker {
    /// Serves what this hub publishes.
    pub fn new(hub: Hub<Tick>) -> Self {
        Self { hub }
    }

    /// Ticks from now on, or after a cursor.
    fn ticks(
        &self,
        policy: LagPolicy,
        cursor: Option<Cursor>,
    ) -> Result<Responses<Update>, Status> {
        let subscriber = self.hub.subscriber().policy(policy).max_lag(MAX_LAG);
        let subscriber = match cursor {
            Some(cursor) => subscriber.after(cursor),
            None => subscriber,
        };
        let ticks = Responses::from_hub(subscriber.subscribe()?, |delivery| {
            let update = Some(match delivery {
                Delivery::Item { seq, item } => Kind::Tick(Tick { seq, ..item }),
                Delivery::Gap(gap) => Kind::Gap(Gap {
                    from: gap.from,
                    to: gap.to,
                }),
            });
            Ok(Update { update })
        });
        Ok(ticks.retry_after(Duration::from_millis(500)))
    }
}

#[tonic::async_trait]
impl ticker_server::Ticker for Ticker {
    type WatchStream = Responses<Update>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Responses<Update>>, Status> {
        let WatchRequest { cursor, skip } = request.into_inner();
        let cursor = match cursor.as_str() {
            "" => None,
            cursor => Some(
                cursor
                    .parse()
                    .map_err(|_| Status::invalid_argument("no cursor"))?,
            ),
        };
        let policy = if skip {
            LagPolicy::Skip
        } else {
            LagPolicy::Disconnect
        };
        Ok(Response::new(self.ticks(policy, cursor)?))
    }

    type PullStream = Responses<Update>;

    async fn pull(
        &self,
        request: Request<Streaming<Want>>,
    ) -> Result<Response<Responses<Update>>, Status> {
        let ticks = self.ticks(LagPolicy::Skip, None)?;
        let on_want = |want: Want, demand: &Demand| Ok(demand.request(want.updates.into())?);
        Ok(Response::new(credited(
            request.into_inner(),
            on_want,
            ticks,
        )))
    }
}

/// Publishes 2,000 ticks per second for a while, and then closes the hub.
pub async fn publish(hub: Hub<Tick>, time: Duration) {
    let start = Instant::now();
    let mut every = interval(Duration::from_millis(10));
    while start.elapsed() < time {
        every.tick().await;
        for price in 0..20 {
            let tick = Tick {
                // The hub numbers them.
                seq: 0,
                published_at: micros(),
                price,
                book: vec![0; 200],
            };
            // It is open, and has no bound in bytes.
            _ = hub.publish(tick);
        }
    }
    hub.close();
}
