//! The history of a view, as a page loads it.

use serde::Serialize;

use crate::{
    board::Board,
    event::BoardEvent,
    number::Number,
    point::{FIELDS, numbers},
};

/// The history of one view: a point for each interval, `null` for a gap.
#[derive(Serialize)]
pub(crate) struct History<'a> {
    number: u64,
    second: u64,
    /// Seconds of a point.
    seconds: u64,
    fields: [&'static str; FIELDS.len()],
    gates: Vec<(&'a str, Vec<Option<[Number; FIELDS.len()]>>)>,
    events: Vec<&'a BoardEvent>,
}

impl<'a> History<'a> {
    pub(crate) fn of(board: &'a Board, view: usize, number: u64) -> Self {
        let (seconds, _) = board.view(view);
        let gates = board.gates.iter().filter_map(|gate| {
            let points = gate.rings.get(view)?.points(board.second);
            let points = points.into_iter().map(|point| point.map(numbers));
            Some((&*gate.id, points.collect()))
        });
        Self {
            number,
            second: board.second,
            seconds,
            fields: FIELDS,
            gates: gates.collect(),
            events: board.events.iter().collect(),
        }
    }
}
