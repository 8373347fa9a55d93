//! Impressions: accepted into a queue, and written to an append-only log by one task.

use std::{io, path::Path};

use axum::{body::Bytes, extract::State, http::StatusCode};
use plimsoll_load_shed::{Depth, DepthGuard};
use tokio::{
    fs::{File, OpenOptions},
    io::AsyncWriteExt,
    sync::mpsc,
    time::{Instant, sleep_until},
};

use crate::settings::{LOG_BATCH, LOG_BATCH_TIME};

/// An impression, which counts in the queue's depth until it is written.
type Entry = (Bytes, DepthGuard);

/// The queue of the log. Clones share it.
#[derive(Clone)]
pub(super) enum ImpressionLog {
    /// Accepts everything.
    Unbounded(mpsc::UnboundedSender<Bytes>),
    /// Has a bound and a depth that a policy reads.
    Bounded(mpsc::Sender<Entry>, Depth),
}

impl ImpressionLog {
    /// Opens a log that accepts everything and keeps unwritten impressions in memory.
    pub(super) async fn unbounded(log: &Path) -> io::Result<Self> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut file = open(log).await?;
        tokio::spawn(async move {
            let mut batch = Vec::with_capacity(LOG_BATCH);
            while receiver.recv_many(&mut batch, LOG_BATCH).await > 0 {
                write(&mut file, &mut batch).await;
            }
        });
        Ok(Self::Unbounded(sender))
    }

    /// Opens a log with a bounded queue; `depth` measures it.
    pub(super) async fn bounded(log: &Path, depth: Depth) -> io::Result<Self> {
        let (sender, mut receiver) = mpsc::channel::<Entry>(depth.capacity());
        let mut file = open(log).await?;
        tokio::spawn(async move {
            let mut entries = Vec::with_capacity(LOG_BATCH);
            while receiver.recv_many(&mut entries, LOG_BATCH).await > 0 {
                // The guards live until the batch is on disk.
                let (mut batch, _guards): (Vec<_>, Vec<_>) = entries.drain(..).unzip();
                write(&mut file, &mut batch).await;
            }
        });
        Ok(Self::Bounded(sender, depth))
    }
}

/// `POST /impression`: accepts an impression, which is written later.
pub(super) async fn take(State(log): State<ImpressionLog>, impression: Bytes) -> StatusCode {
    let taken = match log {
        ImpressionLog::Unbounded(log) => log.send(impression).is_ok(),
        ImpressionLog::Bounded(log, depth) => depth
            .try_enter()
            .is_some_and(|guard| log.try_send((impression, guard)).is_ok()),
    };
    if taken {
        StatusCode::ACCEPTED
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn open(log: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(log).await
}

/// Appends a batch and waits until it is on disk.
async fn write(file: &mut File, batch: &mut Vec<Bytes>) {
    let begun = Instant::now();
    let mut lines = Vec::with_capacity(batch.iter().map(|record| record.len() + 1).sum());
    for record in batch.drain(..) {
        lines.extend_from_slice(&record);
        lines.push(b'\n');
    }
    let written = async {
        file.write_all(&lines).await?;
        file.sync_data().await
    };
    if let Err(error) = written.await {
        eprintln!("impressions lost: {error}");
    }
    // A slow volume on any disk: see `LOG_BATCH_TIME`.
    sleep_until(begun + LOG_BATCH_TIME).await;
}
