//! Adaptive shedding in front of a limit, with callers that leave before the response.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle};
use plimsoll_core::{ByExtension, Criticality, GateLayer, Policy, Priority};
use plimsoll_load_shed::{AdaptiveShed, QueueDelay};
use tokio::{
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tower::{Layer as _, ServiceExt as _};

use crate::within_a_minute;

type Body = Empty<bytes::Bytes>;
type Limit = ConcurrencyLimit<(), ByExtension>;

const MS: Duration = Duration::from_millis(1);
const SLOTS: usize = 50;
/// Run time of a request.
const SERVICE: Duration = Duration::from_millis(20);
/// Leavers per user: 1,000 users and 20,000 leavers per second.
const LEAVERS: usize = 20;
/// Time until a leaver leaves, in the queue or in the service.
const PATIENCE: Duration = Duration::from_millis(5);
/// Milliseconds of load, of which the second half is measured.
const LOAD: u64 = 2_000;

/// Mean figures of the second half of the load.
#[derive(Debug)]
struct Served {
    /// Users served per second.
    users: f64,
    slots_in_use: f64,
}

fn limit() -> Limit {
    let limit = ConcurrencyLimit::new(SLOTS).unwrap();
    let limit = limit.queue(100, 500 * MS).unwrap();
    limit.priorities(ByExtension)
}

/// Offers users and leavers of this criticality to a service behind `policy`.
async fn offer(
    policy: impl Policy<Request<Body>> + 'static,
    limit: ConcurrencyLimitHandle,
    leavers: Criticality,
) -> Served {
    fastrand::seed(1);
    let gate = GateLayer::new(policy).layer(tower::service_fn(|_: Request<Body>| async {
        sleep(SERVICE).await;
        Ok::<_, Infallible>(Response::new(Body::new()))
    }));
    let served = Arc::new(AtomicU64::new(0));
    let mut ticks = interval(MS);
    let mut calls = JoinSet::new();
    let mut slots = 0;
    for tick in 0..LOAD {
        ticks.tick().await;
        let measured = tick >= LOAD / 2;
        slots += if measured { limit.in_flight() } else { 0 };
        let user = fastrand::usize(..=LEAVERS);
        for caller in 0..=LEAVERS {
            let is_user = caller == user;
            let criticality = if is_user {
                Criticality::Critical
            } else {
                leavers
            };
            let priority = Priority::new(criticality).in_cohort(fastrand::u8(..128));
            let req = Request::get("/").extension(priority).body(Body::new());
            let call = gate.clone().oneshot(req.unwrap());
            let served = Arc::clone(&served);
            calls.spawn(async move {
                if !is_user {
                    _ = timeout(PATIENCE, call).await;
                } else if call.await.unwrap().status() == StatusCode::OK && measured {
                    served.fetch_add(1, Relaxed);
                }
            });
        }
        while calls.try_join_next().is_some() {}
    }
    within_a_minute(calls.join_all()).await;
    let measured = (LOAD / 2) as f64;
    Served {
        users: served.load(Relaxed) as f64 * 1_000.0 / measured,
        slots_in_use: slots as f64 / measured,
    }
}

async fn limit_alone(leavers: Criticality) -> Served {
    let limit = limit();
    let handle = limit.handle();
    offer(limit, handle, leavers).await
}

#[tokio::test(start_paused = true)]
async fn users_above_callers_that_leave_are_served_as_by_the_limit_alone() {
    let alone = limit_alone(Criticality::Sheddable).await;
    assert!(alone.users > 990.0, "{alone:?}");

    let limit = limit();
    let handle = limit.handle();
    let shed = AdaptiveShed::new(handle.clone());
    let served = offer((shed, limit), handle, Criticality::Sheddable).await;
    assert!(served.users >= 0.98 * alone.users, "{served:?}");
    assert!(served.slots_in_use >= 0.95 * SLOTS as f64, "{served:?}");
}

/// Shedding by cohort rejects users and leavers alike, so fewer users than by the limit alone.
#[tokio::test(start_paused = true)]
async fn callers_that_leave_with_the_priority_of_users_do_not_empty_the_slots() {
    let alone = limit_alone(Criticality::Critical).await;

    let limit = limit();
    let handle = limit.handle();
    let delay = QueueDelay::relative();
    let shed = AdaptiveShed::new(delay.clone());
    let served = offer((delay, shed, limit), handle, Criticality::Critical).await;
    assert!(served.users >= 0.8 * alone.users, "{served:?}, {alone:?}");
    assert!(served.slots_in_use >= 0.98 * SLOTS as f64, "{served:?}");
}
