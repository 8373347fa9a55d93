//! Selects the cell that a new key takes.

use std::sync::atomic::Ordering::Acquire;

use super::{hashed, set::WAYS};
use crate::cell::Cell;

/// How long the cell of a known key is kept after its quota is full again, in nanoseconds: five
/// minutes.
///
/// Long enough for callers with one request per minute to stay known, and short enough that their
/// cells become free after they stop. `known_callers_are_served_in_floods_of_all_kinds` fails when
/// it is shorter than the time between two requests.
const KNOWN_FOR: u64 = 5 * 60 * 1_000_000_000;

/// A cell that may be given to another key.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a, const N: usize> {
    pub(super) cell: Cell<'a, N>,
    pub(super) tag: u64,
    /// The set that contains the cell.
    pub(super) place: usize,
    /// Whether its quota is not full, so that what was taken must be recorded.
    pub(super) in_use: bool,
}

/// Selects the cell for a new key, of all cells in its two sets.
///
/// In this order: an empty cell; the cell whose quota has been full for longest; the cell on
/// probation from which least was taken. `None` when all are kept for known keys.
///
/// An empty cell in the first set is preferred, unless the second set has at least two more.
pub(super) fn candidate<const N: usize>(
    sets: [(usize, [Cell<'_, N>; WAYS]); 2],
    now: u64,
) -> Option<Candidate<'_, N>> {
    let sets = sets.map(|(place, cells)| {
        cells.map(|cell| Candidate {
            cell,
            tag: cell.tag.load(Acquire),
            place,
            in_use: false,
        })
    });
    let empty = |cell: &Candidate<'_, N>| cell.tag == 0;
    let [first, second] = sets
        .each_ref()
        .map(|set| set.iter().filter(|cell| empty(cell)).count());
    let emptier = usize::from(second > first + 1 || first == 0);
    if let Some(empty) = sets[emptier].into_iter().find(empty) {
        return Some(empty);
    }
    let (mut whole, mut least) = (None, None);
    for candidate in sets.into_iter().flatten() {
        let is_known = hashed::is_known(candidate.tag);
        let Some(since) = candidate.cell.full_for(now) else {
            let taken = candidate.cell.rank(now);
            if !is_known && least.is_none_or(|(least, _)| taken < least) {
                let in_use = true;
                least = Some((
                    taken,
                    Candidate {
                        in_use,
                        ..candidate
                    },
                ));
            }
            continue;
        };
        let is_kept = is_known && since < KNOWN_FOR;
        if !is_kept && whole.is_none_or(|(longest, _)| since > longest) {
            whole = Some((since, candidate));
        }
    }
    whole.or(least).map(|(_, candidate)| candidate)
}
