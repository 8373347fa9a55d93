//! Greedy clients, and the most requests that they get through a limit.

use std::{convert::Infallible, error::Error, time::Duration};

use plimsoll_core::{Policy, policy::Verdict};
use tokio::time::Instant;

use crate::{LIMIT, PERIOD, clients::replay};

const NANO: Duration = Duration::from_nanos(1);
/// When a client stops.
const END: Duration = Duration::from_secs(60 * 5);

/// The result of the greedy clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Greedy {
    /// The most requests admitted in any half-open period.
    pub(crate) most: usize,
    /// Whether each rejected request was admitted exactly after its wait and not a nanosecond
    /// earlier. `None`: requests are queued.
    pub(crate) exact: Option<bool>,
}

impl Greedy {
    pub(crate) fn wait(self) -> &'static str {
        match self.exact {
            None => "it waits",
            Some(true) => "yes",
            Some(false) => "no",
        }
    }
}

/// A client's plan: `first` requests as soon as possible from `start` on, then nothing until
/// `pause` has passed, then as many as possible.
#[derive(Clone, Copy)]
struct Plan {
    start: Duration,
    first: usize,
    pause: Duration,
}

/// The worst of many plans: starts all over a period, and right before its end; pauses of all
/// lengths.
pub(crate) fn of_a_meter<P: Policy<(), Wait = Infallible>>(
    make: &impl Fn() -> Result<P, Box<dyn Error>>,
) -> Result<Greedy, Box<dyn Error>> {
    let (mut most, mut all_exact) = (0, true);
    let starts = (0..60).step_by(3).map(Duration::from_secs);
    for start in starts.chain([PERIOD.saturating_sub(NANO)]) {
        for first in [1, LIMIT as usize / 2, LIMIT as usize] {
            for pause in (0..90).step_by(15).map(Duration::from_secs) {
                let plan = Plan {
                    start: 2 * PERIOD + start,
                    first,
                    pause,
                };
                let (admitted, exact) = take_all(&make()?, plan);
                most = most.max(most_in_a_period(&admitted));
                all_exact &= exact;
            }
        }
    }
    Ok(Greedy {
        most,
        exact: Some(all_exact),
    })
}

/// When the requests of a client with this plan were admitted, and whether every wait was exact.
fn take_all<P: Policy<(), Wait = Infallible>>(policy: &P, plan: Plan) -> (Vec<Duration>, bool) {
    let epoch = Instant::now();
    // The first request starts the windows. Two periods later it counts nowhere.
    policy.admit(&mut (), epoch);
    let (mut admitted, mut exact) = (Vec::new(), true);
    let mut at = plan.start;
    let mut waited = false;
    while at < END {
        match policy.admit(&mut (), epoch + at) {
            Verdict::Admit(_) => {
                admitted.push(at);
                waited = false;
                if admitted.len() == plan.first {
                    at = at.max(plan.start + plan.pause);
                }
            }
            Verdict::Reject(rejection) => {
                exact &= !waited;
                let Some(wait) = rejection.retry_after().filter(|wait| !wait.is_zero()) else {
                    return (admitted, false);
                };
                waited = true;
                let early = policy.admit(&mut (), epoch + at + wait.saturating_sub(NANO));
                exact &= matches!(early, Verdict::Reject(_));
                at += wait;
            }
            Verdict::Wait(never) => match never {},
        }
    }
    (admitted, exact)
}

/// The worst of several clients that send ten times the limit to a policy with a queue.
pub(crate) async fn of_a_shaper<P>(
    make: &impl Fn() -> Result<P, Box<dyn Error>>,
) -> Result<Greedy, Box<dyn Error>>
where
    P: Policy<()> + 'static,
    P::Wait: 'static,
{
    let mut most = 0;
    for start in [0, 7, 200, 599, 600, 30_000, 59_999] {
        let offered: Vec<_> = (0..3 * 10 * u64::from(LIMIT))
            .map(|request| Duration::from_millis(start + request * 60))
            .collect();
        let admitted = replay(make()?, &offered).await;
        most = most.max(most_in_a_period(&admitted));
    }
    Ok(Greedy { most, exact: None })
}

fn most_in_a_period(admitted: &[Duration]) -> usize {
    let from = |first: usize| {
        let end = admitted[first] + PERIOD;
        admitted[first..].partition_point(|at| *at < end)
    };
    (0..admitted.len()).map(from).max().unwrap_or(0)
}
