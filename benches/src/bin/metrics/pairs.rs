//! Whether recording is slower on two threads: turns on one thread and on two, one after the other.

use std::time::Duration;

use benches::{
    contention::{Entrant, median},
    driver::Driver,
};

use crate::recorders;

/// A turn: long beside the start of a thread, short beside the machine's slow phases.
const TURN: Duration = Duration::from_millis(2);

/// Prints the ratio of two threads over one for a gate that two threads share, and for two gates
/// that share nothing, in `pairs` pairs of turns. What both have is the machine's.
pub(super) fn print(pairs: usize) -> Result<(), String> {
    let mut entrants = [
        Entrant::accepting("one gate, shared", recorders::plimsoll()),
        Entrant::accepting("a gate for each thread", apart()),
    ];
    let mut ratios = [Vec::new(), Vec::new()];
    let mut of_both = Vec::new();
    for _ in 0..pairs {
        let mut both = [None; 2];
        for (index, entrant) in entrants.iter_mut().enumerate() {
            both[index] = entrant.pair(TURN)?;
            ratios[index].extend(both[index]);
        }
        if let [Some(shared), Some(apart)] = both {
            of_both.push(shared / apart);
        }
    }
    println!(
        "nanoseconds per request and thread, two threads over one: the median of pairs in which no \
         thread waited for a processor, and its interval of 95 %"
    );
    for (entrant, ratios) in entrants.iter().zip(ratios) {
        let [one, two] = [0, 1].map(|threads| 1e9 / entrant.per_second(threads));
        line(
            &format!("{}: {one:.2} and {two:.2} ns", entrant.name),
            ratios,
        );
    }
    line("the first ratio over the second", of_both);
    Ok(())
}

/// As [`recorders::plimsoll`], with a gate for each driver.
fn apart() -> Vec<Driver> {
    let of = || recorders::plimsoll().into_iter().next();
    [of(), of()].into_iter().flatten().collect()
}

fn line(name: &str, mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    let pairs = ratios.len();
    // The ranks between which the median of all possible pairs is, by the binomial distribution.
    let half = 0.98 * (pairs as f64).sqrt();
    let at = |rank: f64| {
        let rank = rank.clamp(0.0, pairs.saturating_sub(1) as f64) as usize;
        ratios.get(rank).copied().unwrap_or(f64::NAN)
    };
    let middle = pairs as f64 / 2.0;
    let (low, high) = (at(middle - half), at((middle + half).ceil()));
    let median = median(ratios);
    println!("{name:<48}{median:>8.3}  {low:.3} to {high:.3}, {pairs} pairs");
}
