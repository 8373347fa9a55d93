//! Wall time per call of every case, on one thread and on two: `cargo bench -p benches [-- TEXT]`.
#![forbid(unsafe_code)]
// The output of this program is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;

use benches::{cases, wall};

/// Rounds per case: the best round then repeats to about 1 % on a shared machine.
const ROUNDS: usize = 60;

fn main() {
    // Cargo passes flags such as `--bench`; anything else is a filter.
    let only = env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-'))
        .unwrap_or_default();
    let cases = cases::all(&only);
    eprintln!(
        "{} cases, {ROUNDS} rounds on one thread and {ROUNDS} on two",
        cases.len()
    );
    let one = wall::race(&cases, 1, ROUNDS);
    let two = wall::race(&cases, 2, ROUNDS);

    println!("nanoseconds per call and thread; `over` is less the bare service");
    println!(
        "{:<56}{:>10}{:>10}{:>10}{:>16}{:>10}",
        "case", "best", "median", "over", "2 threads", "over"
    );
    for (index, case) in cases.iter().enumerate() {
        let bare = cases
            .iter()
            .position(|bare| bare.name == case.base.bare)
            .unwrap_or(index);
        let two_threads = if two[index].right < 1.0 {
            // Left pending by a lock that another thread held: no call was timed.
            format!("{:>15.0}%{:>10}", two[index].right * 100.0, "ready")
        } else {
            format!(
                "{:>16.1}{:>10.1}",
                two[index].median,
                two[index].median - two[bare].median
            )
        };
        println!(
            "{:<56}{:>10.1}{:>10.1}{:>10.1}{two_threads}",
            case.name,
            one[index].best,
            one[index].median,
            one[index].best - one[bare].best,
        );
        if one[index].right < 1.0 {
            println!(
                "  {:.2} % of these calls did not end as named",
                (1.0 - one[index].right) * 100.0
            );
        }
    }
}
