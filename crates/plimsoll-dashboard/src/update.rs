//! What a page receives: the update of each second, and the history of a view.

use serde::Serialize;

use crate::{
    board::{Board, GateState},
    counts::Counts,
    event::BoardEvent,
    health::{Health, Level, health},
    number::Number,
    point::{FIELDS, Sums, numbers},
    reading::{AlarmReading, Kind, PolicyReading},
};

/// The state of a peer, of a board that shows a fleet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PeerState {
    pub(crate) name: String,
    /// `ok`, `stale` or `failing`.
    pub(crate) state: &'static str,
    /// Seconds since its last reading.
    pub(crate) age: Option<Number>,
    pub(crate) error: String,
}

/// What the board itself costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// Microseconds of the last reading of all figures, and of its update.
    pub(crate) sample_us: u64,
    pub(crate) update_us: u64,
    /// Bytes of the last update.
    pub(crate) bytes: usize,
    pub(crate) viewers: usize,
    pub(crate) max_viewers: usize,
    /// Viewers that were let go for newer ones.
    pub(crate) let_go: u64,
    /// Updates that a slow viewer did not receive.
    pub(crate) dropped: u64,
    /// Events that were dropped before the board read them.
    pub(crate) lost_events: u64,
}

/// An update: all figures now, and the points and events that are new.
#[derive(Serialize)]
pub(crate) struct Update<'a> {
    number: u64,
    /// Wall time in milliseconds since 1970.
    at: u64,
    second: u64,
    fields: [&'static str; FIELDS.len()],
    writable: bool,
    fleet: bool,
    peers: &'a [PeerState],
    loads: Vec<(&'a str, Option<Number>)>,
    overloaded_at: Option<Number>,
    failed_readings: u64,
    alarms: &'a [AlarmReading],
    is_ready: bool,
    cost: Cost,
    gates: Vec<Gate<'a>>,
    events: Vec<&'a BoardEvent>,
}

#[derive(Serialize)]
struct Gate<'a> {
    id: &'a str,
    name: &'a str,
    level: Level,
    words: Vec<String>,
    total: Total<'a>,
    recent: Recent,
    /// Bars and counts, of the last 30 to 60 seconds. Bar `2 n` begins at 2^n nanoseconds, bar
    /// `2 n + 1` at 1.5 times that.
    histogram: Vec<(u32, u64)>,
    policies: Vec<Policy<'a>>,
    /// The keys with the most rejections since the start, most first.
    offenders: &'a [(String, u64)],
    limit_change: Option<&'a BoardEvent>,
    /// The points of the intervals that ended now, one for each resolution.
    points: Vec<Option<[Number; FIELDS.len()]>>,
}

#[derive(Serialize)]
struct Total<'a> {
    #[serde(flatten)]
    counts: &'a Counts,
    rejections: u64,
    in_flight: u64,
}

/// The last five to ten seconds.
#[derive(Serialize)]
struct Recent {
    seconds: Number,
    point: [Number; FIELDS.len()],
    waits: Quantiles,
    permits: Quantiles,
}

#[derive(Serialize)]
struct Quantiles {
    count: u64,
    p50: Number,
    p99: Number,
    p999: Number,
}

#[derive(Serialize)]
struct Policy<'a> {
    #[serde(rename = "policy")]
    name: &'a str,
    figures: Vec<Figure<'a>>,
    settings: &'a [(crate::counts::Text, String)],
}

#[derive(Serialize)]
struct Figure<'a> {
    name: &'a str,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<&'a str>,
    help: &'a str,
    value: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

/// What an update contains besides the board.
pub(crate) struct About<'a> {
    pub(crate) number: u64,
    pub(crate) at: u64,
    pub(crate) writable: bool,
    pub(crate) fleet: bool,
    pub(crate) peers: &'a [PeerState],
    pub(crate) cost: Cost,
}

impl<'a> Update<'a> {
    pub(crate) fn of(board: &'a Board, about: &About<'a>) -> Self {
        let loads = board.loads.iter();
        Self {
            number: about.number,
            at: about.at,
            second: board.second,
            fields: FIELDS,
            writable: about.writable,
            fleet: about.fleet,
            peers: about.peers,
            loads: loads
                .map(|(name, load)| (&**name, load.map(Number)))
                .collect(),
            overloaded_at: board.overloaded_at.map(Number),
            failed_readings: board.failed_readings,
            alarms: &board.alarms,
            is_ready: board.is_ready,
            cost: about.cost,
            gates: board
                .gates
                .iter()
                .map(|gate| Gate::of(gate, board.second))
                .collect(),
            events: board.latest_events().collect(),
        }
    }
}

impl<'a> Gate<'a> {
    fn of(gate: &'a GateState, second: u64) -> Self {
        let [_, fives, halves] = &gate.rings;
        let recent = fives.recent();
        let health = if gate.seen < second {
            let words = vec!["no peer reports it".to_owned()];
            let level = Level::Idle;
            Health { level, words }
        } else {
            health(&recent, &gate.policies)
        };
        Self {
            id: &gate.id,
            name: &gate.shown,
            level: health.level,
            words: health.words,
            total: Total {
                rejections: gate.total.rejections(),
                in_flight: gate.total.in_flight(),
                counts: &gate.total,
            },
            recent: Recent::of(&recent),
            histogram: halves.recent().latency.coarse(),
            policies: gate.policies.iter().map(Policy::of).collect(),
            offenders: &gate.offenders,
            limit_change: gate.limit_change.as_ref(),
            points: gate
                .rings
                .iter()
                .map(|ring| ring.ended(second).map(numbers))
                .collect(),
        }
    }
}

impl Recent {
    fn of(sums: &Sums) -> Self {
        let quantiles = |of: &crate::sparse::Sparse| Quantiles {
            count: of.count(),
            p50: Number(of.quantile(0.5)),
            p99: Number(of.quantile(0.99)),
            p999: Number(of.quantile(0.999)),
        };
        Self {
            seconds: Number(sums.seconds),
            point: numbers(&sums.point()),
            waits: quantiles(&sums.waits),
            permits: quantiles(&sums.permits),
        }
    }
}

impl<'a> Policy<'a> {
    fn of(policy: &'a PolicyReading) -> Self {
        let figures = policy.figures.iter().map(|figure| Figure {
            name: &figure.name,
            kind: figure.kind,
            unit: figure.unit.as_deref(),
            help: &figure.help,
            value: figure.value.map(Number),
            state: figure.state(),
        });
        Self {
            name: &policy.policy,
            figures: figures.collect(),
            settings: &policy.settings,
        }
    }
}
