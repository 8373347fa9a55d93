//! The traffic of the plot, and its replay against a policy.

use std::{future::poll_fn, ops::Range, pin::pin, sync::Arc, time::Duration};

use plimsoll_core::{Policy, policy::Verdict};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Phases of the traffic: a name, start and end in seconds, and milliseconds between requests.
pub(crate) const PHASES: [(&str, Range<u64>, u64); 3] = [
    ("half the limit", 0..50, 1200),
    ("200 at an edge", 115..125, 50),
    ("twice the limit", 180..300, 300),
];

/// The arrival times of the requests.
pub(crate) fn arrivals() -> Vec<Duration> {
    let millis = PHASES
        .into_iter()
        .flat_map(|(_, Range { start, end }, gap)| {
            (start * 1000..end * 1000).step_by(usize::try_from(gap).unwrap_or(1))
        });
    millis.map(Duration::from_millis).collect()
}

/// The admission times of the requests, at once or after a wait. For a runtime with a paused clock.
pub(crate) async fn replay<P>(policy: P, arrivals: &[Duration]) -> Vec<Duration>
where
    P: Policy<()> + 'static,
    P::Wait: 'static,
{
    let policy = Arc::new(policy);
    let start = Instant::now();
    let mut admitted = Vec::new();
    let mut waiting = JoinSet::new();
    for at in arrivals {
        sleep_until(start + *at).await;
        match policy.admit(&mut (), start + *at) {
            Verdict::Admit(_) => admitted.push(*at),
            Verdict::Reject(_) => {}
            Verdict::Wait(wait) => {
                let policy = Arc::clone(&policy);
                waiting.spawn(async move {
                    let mut wait = pin!(wait);
                    let turn =
                        poll_fn(|cx| policy.poll_wait(wait.as_mut(), &mut (), Instant::now(), cx));
                    turn.await.is_ok().then(|| start.elapsed())
                });
            }
        }
    }
    admitted.extend(waiting.join_all().await.into_iter().flatten());
    admitted.sort_unstable();
    admitted
}
