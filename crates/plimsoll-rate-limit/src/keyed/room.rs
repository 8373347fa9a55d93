//! Which cell a new key may have.

use std::sync::atomic::Ordering::Acquire;

use super::{hashed, set::WAYS};
use crate::cell::Cell;

/// How long the cell of a known key is kept after its quota is whole again, in nanoseconds: five
/// minutes. Callers that come once a minute stay known, and their cells are not kept for hours
/// after they have left. `known_callers_are_served_in_floods_of_all_kinds` fails when it is
/// shorter than the time between two requests.
const KNOWN_FOR: u64 = 5 * 60 * 1_000_000_000;

/// A cell that may be given to another key.
#[derive(Clone, Copy)]
pub(super) struct Room<'a, const N: usize> {
    pub(super) cell: Cell<'a, N>,
    pub(super) tag: u64,
    /// The set that the cell is in.
    pub(super) place: usize,
    /// Whether its quota is not whole: what was taken must not be forgotten.
    pub(super) in_use: bool,
}

/// Which of these cells another key may have, all of one key's two sets: an empty one; or the one
/// whose quota has been whole for longest; or the one on probation from which least was taken.
/// `None` when all are kept for known keys.
///
/// An empty cell in the first set rather than in the second, unless that is emptier by two.
pub(super) fn room<const N: usize>(
    sets: [(usize, [Cell<'_, N>; WAYS]); 2],
    now: u64,
) -> Option<Room<'_, N>> {
    let sets = sets.map(|(place, cells)| {
        cells.map(|cell| Room {
            cell,
            tag: cell.tag.load(Acquire),
            place,
            in_use: false,
        })
    });
    let empty = |cell: &Room<'_, N>| cell.tag == 0;
    let [first, second] = sets
        .each_ref()
        .map(|set| set.iter().filter(|cell| empty(cell)).count());
    let emptier = usize::from(second > first + 1 || first == 0);
    if let Some(empty) = sets[emptier].into_iter().find(empty) {
        return Some(empty);
    }
    let (mut whole, mut least) = (None, None);
    for room in sets.into_iter().flatten() {
        let is_known = hashed::is_known(room.tag);
        let Some(since) = room.cell.whole_for(now) else {
            let taken = room.cell.rank(now);
            if !is_known && least.is_none_or(|(least, _)| taken < least) {
                let in_use = true;
                least = Some((taken, Room { in_use, ..room }));
            }
            continue;
        };
        let is_kept = is_known && since < KNOWN_FOR;
        if !is_kept && whole.is_none_or(|(longest, _)| since > longest) {
            whole = Some((since, room));
        }
    }
    whole.or(least).map(|(_, room)| room)
}
