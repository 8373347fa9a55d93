//! The board of a fleet: readings of peers, merged.

use std::{
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{
    decode::decode,
    delta::{GateDelta, deltas, merge},
    number::Number,
    reading::{AlarmReading, Reading},
    shared::{Shared, Start},
    update::PeerState,
    wall::wall,
};

/// The highest number of peers. Each is a request every five seconds, and its last reading is kept.
pub(crate) const MAX_PEERS: usize = 32;
/// Peers that are asked at one time.
const AT_ONCE: usize = 8;
/// Time between two readings of a peer: a reading of 50 gates has up to 200 KB.
const PERIOD: Duration = Duration::from_secs(5);
/// The longest answer time of a peer. Two rounds of it fit into a period for up to 16 peers that
/// hang; `law_10_a_peer_that_hangs_panics_or_sends_nonsense_is_shown_as_failing` fails when there is no bound.
const PATIENCE: Duration = Duration::from_secs(2);
/// The age of a reading after which its peer is failing; before, it is stale.
const OLD: Duration = Duration::from_secs(60);
/// The name of this process among its peers.
const SELF: &str = "this process";

/// Makes the task that asks `peers` for their readings by `fetch`.
pub(crate) fn start<F, Fut, E>(peers: Vec<String>, fetch: F) -> Start
where
    F: Fn(String) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
    E: fmt::Display,
{
    let fetch = Arc::new(fetch);
    Box::new(move |shared| {
        let ask = {
            let fetch = Arc::clone(&fetch);
            move |name: String| {
                let fetch = Arc::clone(&fetch);
                // A panic in the user's function is a failure of this peer alone.
                let answer = async move { fetch(name).await.map_err(|error| error.to_string()) };
                let answer = AssertUnwindSafe(answer).catch_unwind();
                async move {
                    match timeout(PATIENCE, answer).await {
                        Ok(Ok(answer)) => answer,
                        Ok(Err(_)) => Err("the function that fetches it panicked".to_owned()),
                        Err(_) => Err(format!("no answer in {} s", PATIENCE.as_secs())),
                    }
                }
            }
        };
        tokio::spawn(run(shared, peers.clone(), ask));
    })
}

async fn run<A, Fut>(shared: Weak<Shared>, peers: Vec<String>, ask: A)
where
    A: Fn(String) -> Fut + Send,
    Fut: Future<Output = Result<Bytes, String>> + Send,
{
    let mut timer = interval(PERIOD);
    timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let start = Instant::now();
    let mut fleet = Fleet::new(start, &peers);
    loop {
        timer.tick().await;
        if shared.upgrade().is_none_or(|shared| shared.is_closed()) {
            return;
        }
        let answers = stream::iter(peers.iter().cloned().map(&ask));
        let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let merging = move || {
            fleet.merge(&shared, answers);
            fleet
        };
        fleet = match tokio::task::spawn_blocking(merging).await {
            Ok(fleet) => fleet,
            Err(_) => Fleet::new(start, &peers),
        };
    }
}

/// The readings of the peers, and when the last round was.
struct Fleet {
    start: Instant,
    last: Option<Instant>,
    this: Peer,
    peers: Vec<Peer>,
}

struct Peer {
    name: String,
    last: Option<(Instant, Arc<Reading>)>,
    error: String,
    /// The number of its last event.
    events: u64,
}

impl Fleet {
    fn new(start: Instant, peers: &[String]) -> Self {
        Self {
            start,
            last: None,
            this: Peer::new(SELF),
            peers: peers.iter().map(|name| Peer::new(name)).collect(),
        }
    }

    fn merge(&mut self, shared: &Shared, answers: Vec<Result<Bytes, String>>) {
        let Some(scope) = &shared.fleet else { return };
        let now = Instant::now();
        let (mut sum, mut events, mut loads) = (Vec::new(), Vec::new(), Vec::new());
        let mut alarms = Vec::new();
        let own = shared.reading().ok_or_else(String::new);
        let answers = answers
            .into_iter()
            .map(|answer| answer.and_then(|bytes| decode(&bytes)).map(Arc::new));
        let peers = std::iter::once(&mut self.this).chain(&mut self.peers);
        for (peer, answer) in peers.zip(std::iter::once(own).chain(answers)) {
            merge(&mut sum, peer.take(now, answer));
            if let Some((_, reading)) = &peer.last {
                events.extend(peer.new_events(reading));
                peer.events = reading.events.last().map_or(0, |event| event.number);
                if peer.error.is_empty() {
                    let raised = reading.alarms.iter();
                    alarms.extend(raised.map(|alarm| AlarmReading {
                        gate: format!("{}: {}", peer.name, alarm.gate),
                        ..alarm.clone()
                    }));
                    let named = reading.loads.iter();
                    loads.extend(named.map(|(of, load)| (format!("{of} ({})", peer.name), *load)));
                }
            }
        }
        events.sort_by_key(|event| event.at);
        let states = std::iter::once(&self.this).chain(&self.peers);
        let states = states.map(|peer| peer.state(now)).collect();
        let seconds = self
            .last
            .replace(now)
            .map_or(0.0, |last| (now - last).as_secs_f64());
        let second = (now - self.start).as_secs() / PERIOD.as_secs() * PERIOD.as_secs();
        scope.advance(wall(), now, states, |board| {
            board.advance(second, seconds, sum);
            board.add_events(events);
            board.loads = loads;
            board.alarms = alarms;
        });
    }
}

impl Peer {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            last: None,
            error: "not asked yet".to_owned(),
            events: 0,
        }
    }

    /// What the peer did since its last reading. After a gap only its totals are used: one interval
    /// must not show what happened in several.
    fn take(&mut self, now: Instant, answer: Result<Arc<Reading>, String>) -> Vec<GateDelta> {
        match answer {
            Ok(reading) => {
                let recent = |at: &Instant| now - *at < PERIOD * 2;
                let before = self.last.as_ref().filter(|(at, _)| recent(at));
                let new = deltas(&reading, before.map(|(_, reading)| &**reading));
                self.last = Some((now, reading));
                self.error.clear();
                new
            }
            Err(error) => {
                self.error = error;
                let last = self.last.iter().flat_map(|(_, reading)| &reading.gates);
                let idle = last.map(|gate| GateDelta {
                    policies: Vec::new(),
                    offenders: Vec::new(),
                    ..GateDelta::idle(gate)
                });
                idle.collect()
            }
        }
    }

    fn new_events<'a>(
        &'a self,
        reading: &'a Reading,
    ) -> impl Iterator<Item = crate::event::BoardEvent> + 'a {
        let newest = reading.events.last().map_or(0, |event| event.number);
        // The numbers of a peer that was restarted begin again.
        let after = if newest < self.events { 0 } else { self.events };
        let new = reading
            .events
            .iter()
            .filter(move |event| event.number > after);
        new.map(|event| crate::event::BoardEvent {
            peer: Some(self.name.clone().into()),
            ..event.clone()
        })
    }

    fn state(&self, now: Instant) -> PeerState {
        let age = self.last.as_ref().map(|(at, _)| now - *at);
        let state = match age {
            _ if self.error.is_empty() => "ok",
            Some(age) if age < OLD => "stale",
            _ => "failing",
        };
        let mut error = self.error.clone();
        crate::decode::clip(&mut error);
        PeerState {
            name: self.name.clone(),
            state,
            age: age.map(|age| Number(age.as_secs_f64())),
            error,
        }
    }
}
