use proptest::{prelude::*, sample::Index};

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Join(u16),
    AnswerHighest { newest: bool },
    Evict,
    Remove(Index),
}

fn step() -> impl Strategy<Value = Step> {
    // Few levels, so that waiters share them, and both ends of the bitmap.
    let level = prop_oneof![Just(0), Just(511), 62_u16..66, 126_u16..130, any::<u16>()];
    prop_oneof![
        4 => level.prop_map(Step::Join),
        2 => any::<bool>().prop_map(|newest| Step::AnswerHighest { newest }),
        1 => Just(Step::Evict),
        2 => any::<Index>().prop_map(Step::Remove),
    ]
}

#[test]
fn a_level_takes_eight_bytes_and_a_queue_without_priorities_has_one_level() {
    assert_eq!(size_of::<Ends>(), 8);
    let mut ranked = Ranked::new();
    ranked.join(0, ());
    ranked.join(0, ());
    assert_eq!(ranked.levels.len(), 1);
}

proptest! {
    /// Compares with a list that is sorted by level and then by age.
    #[test]
    fn levels_behave_like_a_sorted_list(steps in prop::collection::vec(step(), 0..200)) {
        let mut ranked = Ranked::new();
        // (level, number, ticket); numbers increase with time.
        let mut model: Vec<(u16, usize, Ticket)> = Vec::new();
        let mut answered: Vec<(usize, Ticket)> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let taken = match step {
                Step::Join(level) => {
                    let ticket = ranked.join(level, number);
                    model.push((level.min(511), number, ticket));
                    model.sort_by_key(|(level, number, _)| (*level, *number));
                    None
                }
                Step::AnswerHighest { newest } => ranked.highest().map(|level| {
                    let of_level = |(_, (other, ..)): &(usize, &(u16, usize, Ticket))| *other == level;
                    let mut same = model.iter().enumerate().filter(of_level);
                    let at = if newest { same.next_back() } else { same.next() };
                    (at.unwrap().0, if newest { ranked.newest_of(level) } else { ranked.oldest_of(level) })
                }),
                Step::Evict => ranked.lowest().map(|level| {
                    let at = model.iter().rposition(|(other, ..)| *other == level);
                    (at.unwrap(), ranked.newest_of(level))
                }),
                Step::Remove(which) if number % 2 == 0 && !model.is_empty() => {
                    let (_, number, ticket) = model.remove(which.index(model.len()));
                    let left = ranked.remove(ticket).unwrap();
                    prop_assert!(!left.granted);
                    prop_assert_eq!(left.value.value, number);
                    prop_assert!(ranked.remove(ticket).is_none());
                    None
                }
                Step::Remove(which) if !answered.is_empty() => {
                    let (number, ticket) = answered.swap_remove(which.index(answered.len()));
                    let left = ranked.remove(ticket).unwrap();
                    prop_assert!(left.granted);
                    prop_assert_eq!(left.value.value, number);
                    None
                }
                Step::Remove(_) => None,
            };
            if let Some((at, ticket)) = taken {
                let (_, number, expected) = model.remove(at);
                prop_assert_eq!(ticket, Some(expected));
                ranked.answer(expected);
                answered.push((number, expected));
                ranked.answer(expected); // a second answer has no effect
            }
            prop_assert_eq!(ranked.len() as usize, model.len());
            prop_assert_eq!(ranked.is_empty(), model.is_empty());
            prop_assert_eq!(ranked.lowest(), model.first().map(|(level, ..)| *level));
            prop_assert_eq!(ranked.highest(), model.last().map(|(level, ..)| *level));
            for first in [0, 128, 384] {
                let same = model.iter().filter(|(level, ..)| level / 128 == first / 128);
                let oldest = same.min_by_key(|(_, number, _)| *number).map(|(.., ticket)| *ticket);
                prop_assert_eq!(ranked.oldest_of_criticality(first + 5), oldest);
            }
            let oldest = model.iter().map(|(_, number, _)| *number).min();
            prop_assert_eq!(ranked.oldest().copied(), oldest);
            for (_, number, ticket) in &model {
                prop_assert_eq!(ranked.value(*ticket).copied(), Some(*number));
                let asked = ranked.ask(*ticket, Waker::noop(), &mut None);
                prop_assert!(matches!(asked, Asked::WakerPlease));
            }
            for (_, ticket) in &answered {
                let asked = ranked.ask(*ticket, Waker::noop(), &mut None);
                prop_assert!(matches!(asked, Asked::Granted));
            }
        }
    }
}
