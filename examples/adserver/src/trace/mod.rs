//! Recorded traffic: reads arrivals from an access log or a CSV, and replays them at another speed.

mod access_log;
mod csv;
mod row;
mod time;

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    time::Duration,
};

use fastrand::Rng;

use self::row::Row;
use crate::{arrival::Arrival, settings::PUBLISHERS};

/// Maximum number of rows: about 100 MB of memory.
const MAX_ROWS: usize = 4_000_000;
/// Maximum length of a line in bytes; a longer one is malformed.
const MAX_LINE: u64 = 64 * 1024;

/// A recording, earliest first.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Seconds from the first arrival, publisher, cost over the mean cost.
    arrivals: Vec<(f64, u32, f32)>,
    /// Lines that could not be read. They are left out.
    pub(crate) malformed: u64,
    /// Number of the first malformed line, counted from 1.
    pub(crate) first_malformed: Option<u64>,
    /// Lines left out because the recording is too long.
    pub(crate) left_out: u64,
    /// Number of distinct clients.
    pub(crate) clients: usize,
}

/// A recording that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceError {
    /// It cannot be read.
    #[error("cannot read the trace: {0}")]
    Io(#[from] io::Error),
    /// It has no arrival.
    #[error(
        "no arrival in the trace ({malformed} malformed lines): expected a common or combined access log, or a CSV \
         with a header that names a timestamp column"
    )]
    Empty {
        /// Lines that could not be read.
        malformed: u64,
    },
}

/// Reads a recording.
///
/// When all its times are whole seconds, arrivals are spread at random within their second, by `seed`.
pub(crate) fn read(file: &Path, seed: u64) -> Result<Trace, TraceError> {
    parse(BufReader::new(File::open(file)?), seed)
}

fn parse(mut input: impl BufRead, seed: u64) -> Result<Trace, TraceError> {
    let mut rows = Vec::new();
    let (mut malformed, mut first_malformed, mut left_out) = (0, None, 0);
    let mut columns = None;
    let mut line = Vec::new();
    for number in 1_u64.. {
        if !next_line(&mut input, &mut line)? {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            continue;
        }
        if rows.is_empty() && columns.is_none() {
            columns = csv::Columns::of_header(&text);
            if columns.is_some() {
                continue;
            }
        }
        let row = match &columns {
            Some(columns) => columns.row(&text),
            None => access_log::row(&text),
        };
        match row {
            Some(row) if rows.len() < MAX_ROWS => rows.push(row),
            Some(_) => left_out += 1,
            None => {
                malformed += 1;
                first_malformed = first_malformed.or(Some(number));
            }
        }
    }
    if rows.is_empty() {
        return Err(TraceError::Empty { malformed });
    }
    let (arrivals, clients) = arrivals(rows, seed);
    Ok(Trace {
        arrivals,
        malformed,
        first_malformed,
        left_out,
        clients,
    })
}

/// Reads the next line, cut at [`MAX_LINE`], into `line`; `false` at the end.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    if input.by_ref().take(MAX_LINE).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.len() as u64 == MAX_LINE && !line.ends_with(b"\n") {
        // Skip the rest, and replace the line by one that is malformed in each format.
        input.skip_until(b'\n')?;
        line.clear();
        line.push(b'?');
    }
    Ok(true)
}

/// Sorts, spreads and normalises. Logs are written at the end of requests, so lines are not in order.
fn arrivals(mut rows: Vec<Row>, seed: u64) -> (Vec<(f64, u32, f32)>, usize) {
    let mut rng = Rng::with_seed(seed);
    if rows.iter().all(|row| row.at.fract() == 0.0) {
        for row in &mut rows {
            row.at += rng.f64();
        }
    }
    rows.sort_by(|a, b| a.at.total_cmp(&b.at));
    let first = rows.first().map_or(0.0, |row| row.at);
    let mean = rows.iter().map(|row| row.cost).sum::<f64>() / rows.len().max(1) as f64;
    let mean = if mean > 0.0 { mean } else { 1.0 };
    let mut clients: HashMap<String, u32> = HashMap::new();
    let mut arrivals = Vec::with_capacity(rows.len());
    for row in rows {
        let publisher = match row.client {
            // From 1 on: 0 is the greedy publisher of the random arrivals.
            Some(client) => {
                let next = clients.len() as u32 + 1;
                *clients.entry(client).or_insert(next)
            }
            None => rng.u32(1..=PUBLISHERS),
        };
        arrivals.push((row.at - first, publisher, (row.cost / mean) as f32));
    }
    (arrivals, clients.len())
}

impl Trace {
    /// Returns the number of arrivals.
    pub(crate) fn len(&self) -> usize {
        self.arrivals.len()
    }

    /// Returns the recorded seconds from the first to the last arrival.
    pub(crate) fn duration(&self) -> f64 {
        self.arrivals.last().map_or(0.0, |last| last.0)
    }

    /// Returns the first `seconds` of the replay at `speed` times the recorded speed.
    pub(crate) fn replay(&self, speed: f64, seconds: f64) -> Vec<Arrival> {
        let due = |at: f64| at / speed;
        self.arrivals
            .iter()
            .take_while(|(at, ..)| due(*at) < seconds)
            .map(|&(at, publisher, cost)| Arrival {
                at: Duration::from_secs_f64(due(at)),
                publisher,
                cost,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl\"
10.0.0.2 - bob [17/May/2015:10:05:01 +0000] \"GET /b HTTP/1.1\" 404 -
this is not a line of a log
10.0.0.1 - - [17/May/2015:12:05:03 +0200] \"GET /c HTTP/1.1\" 200 1

10.0.0.3 - - [99/Foo/2015:10:05:03 +0000] \"GET /d HTTP/1.1\" 200 1
";

    #[test]
    fn access_logs_are_sorted_and_spread_inside_the_second() {
        let trace = parse(LOG.as_bytes(), 1).unwrap();
        assert_eq!((trace.len(), trace.clients), (3, 2));
        assert_eq!((trace.malformed, trace.first_malformed), (2, Some(3)));
        let publishers: Vec<u32> = trace.arrivals.iter().map(|arrival| arrival.1).collect();
        assert_eq!(publishers, [1, 2, 2]);
        assert!(
            (1.0..4.0).contains(&trace.duration()),
            "{}",
            trace.duration()
        );
    }

    #[test]
    fn csv_costs_are_relative_to_their_mean() {
        let csv = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                   2023-11-16 18:15:46.5000000,374,26\n\
                   2023-11-16 18:15:48.5000000,1000,200\n\
                   2023-11-16 18:15:x,1,1\n\
                   2023-11-16 18:15:49.0,1\n";
        let trace = parse(csv.as_bytes(), 1).unwrap();
        assert_eq!(trace.malformed, 2);
        let replay = trace.replay(4.0, 60.0);
        assert_eq!(
            replay
                .iter()
                .map(|arrival| arrival.at.as_millis())
                .collect::<Vec<_>>(),
            [0, 500]
        );
        assert_eq!(
            replay
                .iter()
                .map(|arrival| arrival.cost)
                .collect::<Vec<_>>(),
            [0.5, 1.5]
        );
    }

    #[test]
    fn a_replay_ends_after_its_seconds() {
        let trace = parse("time\n0.5\n1.5\n2.5\n".as_bytes(), 1).unwrap();
        assert_eq!(trace.replay(1.0, 1.5).len(), 2);
        assert_eq!(trace.replay(10.0, 1.5).len(), 3);
    }

    #[test]
    fn an_empty_trace_is_an_error_that_names_the_formats() {
        for input in ["", "\n\n", "rubbish\nmore rubbish\n", "name,size\na,1\n"] {
            let error = parse(input.as_bytes(), 1).unwrap_err();
            assert!(error.to_string().contains("expected"), "{error}");
        }
        let long = "x".repeat(200_000);
        assert!(matches!(
            parse(long.as_bytes(), 1),
            Err(TraceError::Empty { malformed: 1 })
        ));
    }

    #[test]
    fn no_bytes_panic() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..2_000 {
            let mut bytes = LOG.as_bytes().to_vec();
            for _ in 0..rng.usize(0..40) {
                let at = rng.usize(0..bytes.len());
                bytes[at] = rng.u8(..);
            }
            _ = parse(bytes.as_slice(), 1);
        }
    }
}
