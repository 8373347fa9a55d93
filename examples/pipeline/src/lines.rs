//! The lines of an access log: from a file, or generated.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use futures_util::{Stream, stream};
use tokio::{
    fs::File,
    io::{AsyncBufReadExt, BufReader},
};

/// Lines of the generated log.
const LINES: u32 = 300_000;
const PATHS: [&str; 5] = ["/", "/cart", "/checkout", "/products", "/search"];

/// One line, counted while it is in memory.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) text: String,
    census: Census,
}

/// How many lines are in memory, and how many were at most. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    now: AtomicU64,
    most: AtomicU64,
}

impl Census {
    fn line(&self, text: String) -> Line {
        let now = self.0.now.fetch_add(1, Relaxed) + 1;
        self.0.most.fetch_max(now, Relaxed);
        Line {
            text,
            census: self.clone(),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.now.load(Relaxed)
    }

    pub(crate) fn most(&self) -> u64 {
        self.0.most.load(Relaxed)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.census.0.now.fetch_sub(1, Relaxed);
    }
}

/// The lines of a file, read as they are asked for. A line that cannot be read ends the stream.
pub(crate) async fn of_file(
    path: &Path,
    census: &Census,
) -> io::Result<impl Stream<Item = Line> + use<>> {
    let lines = BufReader::new(File::open(path).await?).lines();
    let census = census.clone();
    Ok(stream::unfold(
        (lines, census),
        |(mut lines, census)| async {
            let text = lines.next_line().await.ok().flatten()?;
            let line = census.line(text);
            Some((line, (lines, census)))
        },
    ))
}

/// A log as long as a file of 20 MiB, made as its lines are asked for.
pub(crate) fn generated(census: &Census) -> impl Stream<Item = Line> + use<> {
    let (census, mut rng) = (census.clone(), fastrand::Rng::with_seed(7));
    stream::iter((0..LINES).map(move |n| {
        let path = PATHS[rng.usize(..PATHS.len())];
        let status = if rng.u32(..50) == 0 { 500 } else { 200 };
        let micros = rng.u32(200..90_000);
        let host = rng.u8(..);
        census.line(if n % 997 == 0 {
            "a line that is damaged".to_owned()
        } else {
            format!("192.0.2.{host} - - \"GET {path} HTTP/1.1\" {status} {micros}us")
        })
    }))
}
