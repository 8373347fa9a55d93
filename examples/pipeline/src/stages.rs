//! The stages: copy from here.

use std::{
    collections::BTreeMap,
    error::Error,
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plimsoll_stream::Stage;
use tokio::time::sleep;

use crate::lines::Line;

/// Entries of one summary.
const WINDOW: u64 = 1_000;
/// The time that the database takes for a summary.
const STORE: Duration = Duration::from_millis(10);
/// Paths of one summary. More are counted together, so that a log of many paths stays small.
const MAX_PATHS: usize = 100;

type AnyError = Box<dyn Error + Send + Sync>;

/// A line that was understood.
#[derive(Debug)]
pub(crate) struct Entry {
    path: String,
    status: u16,
    time: Duration,
    /// Kept, so that the line counts as in memory until it is summed up.
    _line: Line,
}

/// What a thousand entries come to, by path.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    entries: u64,
    paths: BTreeMap<String, Sum>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) time: Duration,
}

/// Lines to entries. Damaged lines are left out: an `Option` is zero or one output.
pub(crate) fn parse() -> Stage<'static, Line, Entry> {
    Stage::flat_map(|line: Line| async move { Ok::<_, AnyError>(entry(line)) })
        // In order, so that summaries are of consecutive lines.
        .ordered()
        .concurrency(4)
        .buffer(256)
}

fn entry(line: Line) -> Option<Entry> {
    let (_, rest) = line.text.split_once("\"GET ")?;
    let (path, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("\" ")?;
    let (status, time) = rest.split_once(' ')?;
    let micros = time.strip_suffix("us")?.parse().ok()?;
    Some(Entry {
        path: path.to_owned(),
        status: status.parse().ok()?,
        time: Duration::from_micros(micros),
        _line: line,
    })
}

/// Entries to summaries: a state that takes up each entry, and what is left at the end.
pub(crate) fn aggregate() -> Stage<'static, Entry, Summary> {
    Stage::fold(
        Summary::default(),
        |summary: &mut Summary, entry: Entry| {
            summary.add(entry);
            let full = summary.entries == WINDOW;
            Ok::<_, AnyError>(full.then(|| mem::take(summary)))
        },
        |rest| Ok((rest.entries > 0).then_some(rest)),
    )
    .buffer(64)
}

impl Summary {
    fn add(&mut self, entry: Entry) {
        let known = self.paths.len() < MAX_PATHS || self.paths.contains_key(&entry.path);
        let path = if known {
            entry.path
        } else {
            "others".to_owned()
        };
        let sum = self.paths.entry(path).or_default();
        sum.requests += 1;
        sum.errors += u64::from(entry.status >= 500);
        sum.time += entry.time;
        self.entries += 1;
    }
}

/// A database that takes its time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table(Arc<Mutex<BTreeMap<String, Sum>>>);

impl Table {
    pub(crate) async fn store(&self, summary: Summary) -> Result<(), AnyError> {
        sleep(STORE).await;
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (path, more) in summary.paths {
            let sum = table.entry(path).or_default();
            sum.requests += more.requests;
            sum.errors += more.errors;
            sum.time += more.time;
        }
        Ok(())
    }

    pub(crate) fn rows(&self) -> BTreeMap<String, Sum> {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.clone()
    }
}
