//! Recorded windows, and what the adaptive limit made of them: a change of its code that is meant to
//! change nothing passes, and any other shows itself here.
//!
//! Recorded by the laboratory, one point on one thread:
//!
//! ```text
//! plimsoll-lab run laws --quick --point "50 x 20 ms lognormal 1, 2x" --contender adaptive \
//!     --threads 1 --record overload.txt
//! ```

use std::{fmt::Write as _, time::Duration};

use plimsoll_concurrency::{Adaptive, Algorithm, Window};
use tokio::time::Instant;

/// Names and recordings. Times are in nanoseconds, `-` is `None`.
const RECORDINGS: [(&str, &str); 9] = [
    ("overload", include_str!("replay/overload.txt")),
    (
        "capacity-halves",
        include_str!("replay/capacity-halves.txt"),
    ),
    ("cold-start", include_str!("replay/cold-start.txt")),
    ("after-idle", include_str!("replay/after-idle.txt")),
    ("leavers", include_str!("replay/leavers.txt")),
    (
        "short-deadlines",
        include_str!("replay/short-deadlines.txt"),
    ),
    ("routes", include_str!("replay/routes.txt")),
    ("bursts", include_str!("replay/bursts.txt")),
    ("usl", include_str!("replay/usl.txt")),
];

/// The fields of a line, one after the other.
struct Fields<'a>(std::str::SplitWhitespace<'a>);

impl Fields<'_> {
    fn next<T: std::str::FromStr<Err: std::fmt::Debug>>(&mut self) -> T {
        self.0.next().expect("a field").parse().expect("a number")
    }

    fn time(&mut self) -> Duration {
        Duration::from_nanos(self.next())
    }

    fn maybe_time(&mut self) -> Option<Duration> {
        let field = self.0.next().expect("a field");
        (field != "-").then(|| Duration::from_nanos(field.parse().expect("a number")))
    }
}

fn window(text: &str, start: Instant) -> Window {
    let mut fields = Fields(text.split_whitespace());
    Window {
        began: start + fields.time(),
        ended: start + fields.time(),
        silent: fields.time(),
        answered: fields.next(),
        dropped: fields.next(),
        cancelled: fields.next(),
        cancelled_work: fields.next(),
        late: fields.next(),
        latency: fields.time(),
        deviation: fields.time(),
        max_in_flight: fields.next(),
        mean_in_flight: fields.next(),
        limit: fields.next(),
        without_slot: fields.next(),
        rejected: fields.next(),
        route_latency: fields.maybe_time(),
        deadline_left: fields.maybe_time(),
    }
}

/// The change after a window, and the size of the next, as the laboratory writes them.
fn replayed(adaptive: &mut Adaptive, window: &Window) -> String {
    let change = adaptive.update(window);
    let next = adaptive.window();
    let (len, wait) = change.queue.unwrap_or_default();
    let no_load = change
        .no_load_latency
        .map_or("-".to_owned(), |time| time.as_nanos().to_string());
    let mut text = format!(
        "{} {} {len} {} ",
        change.limit,
        change.reason,
        wait.as_nanos()
    );
    let at_no_load = u8::from(change.at_no_load);
    let (time, samples) = (next.time.as_nanos(), next.samples);
    write!(text, "{at_no_load} {no_load} {time} {samples}").expect("a string");
    text
}

#[tokio::test(start_paused = true)]
async fn recorded_windows_lead_to_the_recorded_changes() {
    for (name, recording) in RECORDINGS {
        let mut adaptive = Adaptive::new();
        let start = Instant::now();
        for (number, line) in recording.lines().enumerate() {
            let (seen, change) = line.split_once(" => ").expect("a window and a change");
            let window = window(seen, start);
            assert_eq!(
                replayed(&mut adaptive, &window),
                change,
                "{name}, window {number}"
            );
        }
    }
}
