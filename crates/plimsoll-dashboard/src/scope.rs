//! One board with its viewers: that of this process, or that of a fleet.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    board::Board,
    history::History,
    ring::Rings,
    update::{About, Cost, PeerState, Update},
    viewers::{Encoded, Viewers},
};

/// A board, its viewers, and what was encoded of it.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) viewers: Viewers,
    writable: bool,
    fleet: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    board: Board,
    number: u64,
    at: u64,
    peers: Vec<PeerState>,
    sample_us: u64,
    update_us: u64,
    bytes: usize,
    update: Option<Encoded>,
    histories: [Option<(u64, Bytes)>; 3],
}

impl Scope {
    pub(crate) fn new(rings: Rings, max_viewers: usize, writable: bool, fleet: bool) -> Arc<Self> {
        Arc::new(Self {
            viewers: Viewers::new(max_viewers),
            writable,
            fleet,
            state: Mutex::new(State {
                board: Board::new(rings),
                number: 0,
                at: 0,
                peers: Vec::new(),
                sample_us: 0,
                update_us: 0,
                bytes: 0,
                update: None,
                histories: [None, None, None],
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the board, and sends an update to the viewers. Without viewers nothing is encoded.
    ///
    /// `at` is the wall time in milliseconds since 1970, `began` the start of the reading.
    pub(crate) fn advance(
        &self,
        at: u64,
        began: Instant,
        peers: Vec<PeerState>,
        change: impl FnOnce(&mut Board),
    ) {
        let mut state = self.state();
        change(&mut state.board);
        state.number += 1;
        state.at = at;
        state.peers = peers;
        state.sample_us = micros(began.elapsed());
        drop(state);
        if self.viewers.count() > 0 {
            let update = self.update();
            self.viewers.send(&update);
        }
    }

    /// The update of this second: encoded once, for all viewers and for `snapshot.json`.
    pub(crate) fn update(&self) -> Encoded {
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(update) = &state.update {
            if update.number == state.number {
                return update.clone();
            }
        }
        let began = Instant::now();
        let about = About {
            number: state.number,
            at: state.at,
            writable: self.writable,
            fleet: self.fleet,
            peers: &state.peers,
            cost: Cost {
                sample_us: state.sample_us,
                update_us: state.update_us,
                bytes: state.bytes,
                viewers: self.viewers.count(),
                max_viewers: self.viewers.max(),
                let_go: self.viewers.let_go(),
                dropped: self.viewers.dropped(),
                lost_events: state.board.lost_events,
            },
        };
        let head = format!("id: {}\nevent: update\ndata: ", state.number);
        let mut frame = head.clone().into_bytes();
        frame.reserve(state.bytes + state.bytes / 8);
        append(&mut frame, &Update::of(&state.board, &about));
        let end = frame.len();
        frame.extend_from_slice(b"\n\n");
        let frame = Bytes::from(frame);
        let update = Encoded {
            number: state.number,
            json: frame.slice(head.len()..end),
            frame,
        };
        state.bytes = update.frame.len();
        state.update_us = micros(began.elapsed());
        state.update = Some(update.clone());
        update
    }

    /// The history of a view: encoded at most once per update.
    pub(crate) fn history(&self, view: usize) -> Bytes {
        let mut guard = self.state();
        let state = &mut *guard;
        let cached = state.histories.get(view).and_then(Option::as_ref);
        if let Some((_, bytes)) = cached.filter(|(number, _)| *number == state.number) {
            return bytes.clone();
        }
        let mut json = Vec::new();
        append(&mut json, &History::of(&state.board, view, state.number));
        let bytes = Bytes::from(json);
        if let Some(place) = state.histories.get_mut(view) {
            *place = Some((state.number, bytes.clone()));
        }
        bytes
    }
}

/// Appends JSON without line breaks, as a frame needs it.
fn append(to: &mut Vec<u8>, value: &impl Serialize) {
    let start = to.len();
    // Cannot fail: all keys are text, and a `Vec` takes all writes.
    if serde_json::to_writer(&mut *to, value).is_err() {
        to.truncate(start);
        to.extend_from_slice(b"null");
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
