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

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::AtomicU64;

    use plimsoll_core::policy::Live;

    use super::*;

    /// Nanoseconds per token.
    const T: u64 = 100;
    const NOW: u64 = 100_000;

    /// The tag of the chosen cell, or 0 and the place of its set for an empty one. Each cell has a
    /// tag and the time at which it is full; an empty one has the tag 0.
    fn chosen(cells: [[(u64, u64); WAYS]; 2]) -> Option<(u64, usize)> {
        chosen_at(NOW, cells)
    }

    fn chosen_at(now: u64, cells: [[(u64, u64); WAYS]; 2]) -> Option<(u64, usize)> {
        let quotas = [Live::new([T, 10 * T, 0, 0])];
        let tags = cells.map(|set| set.map(|(tag, _)| AtomicU64::new(tag)));
        let words = cells.map(|set| set.map(|(_, full_at)| [AtomicU64::new(word(full_at))]));
        let sets = [0, 1].map(|place| {
            let cell = |way: usize| Cell {
                quotas: &quotas,
                tag: &tags[place][way],
                words: &words[place][way],
            };
            (place, std::array::from_fn(cell))
        });
        candidate(sets, now).map(|chosen| (chosen.tag, chosen.place))
    }

    fn word(full_at: u64) -> u64 {
        crate::word::Word::new(0, full_at).0
    }

    #[test]
    fn an_empty_cell_in_the_first_set_is_preferred_unless_the_second_has_two_more() {
        let used = |empty: usize| {
            std::array::from_fn(|way| if way < empty { (0, 0) } else { (7, NOW + T) })
        };
        for (first, second, place) in [(0, 1, 1), (1, 0, 0), (1, 2, 0), (1, 3, 1), (4, 4, 0)] {
            assert_eq!(
                chosen([used(first), used(second)]),
                Some((0, place)),
                "{first} and {second} empty cells"
            );
        }
    }

    #[test]
    fn the_cell_that_has_been_full_for_longest_is_chosen_before_one_in_use() {
        let in_use = [
            (1, NOW + T),
            (2, NOW + 2 * T),
            (3, NOW + 3 * T),
            (4, NOW + T),
        ];
        let full = [
            (5, NOW - T),
            (6, NOW - 3 * T),
            (7, NOW - 2 * T),
            (8, NOW + T),
        ];
        assert_eq!(chosen([in_use, full]), Some((6, 1)));
        assert_eq!(chosen([full, in_use]), Some((6, 0)));
    }

    #[test]
    fn of_cells_in_use_the_one_from_which_least_was_taken_is_chosen() {
        let more = [
            (1, NOW + 9 * T),
            (2, NOW + 8 * T),
            (3, NOW + 7 * T),
            (4, NOW + 6 * T),
        ];
        let less = [
            (5, NOW + 5 * T),
            (6, NOW + 2 * T),
            (7, NOW + 3 * T),
            (8, NOW + 4 * T),
        ];
        assert_eq!(chosen([more, less]), Some((6, 1)));
    }

    #[test]
    fn of_equal_cells_the_first_is_chosen() {
        for full_at in [NOW - T, NOW + T] {
            let set = |first| [0_u64, 1, 2, 3].map(|way| (first + way, full_at));
            assert_eq!(chosen([set(1), set(5)]), Some((1, 0)), "full at {full_at}");
        }
    }

    #[test]
    fn a_known_key_keeps_its_cell_for_five_minutes_after_its_quota_is_full() {
        const FIVE_MINUTES: u64 = 300_000_000_000;
        let known = [0; WAYS].map(|_| (hashed::known(1), NOW));
        for (after, expected) in [(0, None), (1, Some((hashed::known(1), 0)))] {
            let now = NOW + FIVE_MINUTES - 1 + after;
            assert_eq!(chosen_at(now, [known, known]), expected);
        }
    }
}
