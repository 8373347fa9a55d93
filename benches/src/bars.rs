//! The bars for the cost of Plimsoll, and their results.

use crate::report::Row;

/// The six layers, by the names of their cases; one of them also with an unused queue, priorities
/// and deadlines.
const LAYERS: [&str; 7] = [
    "rate-limit",
    "concurrency",
    "concurrency-queued",
    "load-shed",
    "circuit-breaker",
    "fallback",
    "sampling",
];

/// The breaker with each kind of window. The one with `slow_call` reads a second clock and is not
/// among them.
const BREAKERS: [&str; 3] = [
    "circuit-breaker@accept",
    "circuit-breaker-by-time@accept",
    "circuit-breaker-consecutive@accept",
];

/// A bar, and the cases that it is about.
#[derive(Debug)]
pub struct Bar {
    /// What is promised.
    pub promise: &'static str,
    /// The figures stay below this limit; a limit of 0 allows 0.
    pub limit: f64,
    /// The cases and their figures, the worst first.
    pub cases: Vec<(&'static str, f64)>,
}

impl Bar {
    fn new(
        promise: &'static str,
        limit: f64,
        rows: &[Row],
        counts: impl Fn(&str) -> bool,
        figure: impl Fn(&Row) -> f64,
    ) -> Self {
        let ours = |row: &&Row| row.case.strip_prefix("plimsoll/").is_some_and(&counts);
        let mut cases: Vec<_> = rows
            .iter()
            .filter(ours)
            .map(|row| (row.case, figure(row)))
            .collect();
        cases.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        Self {
            promise,
            limit,
            cases,
        }
    }

    /// The cases that miss the bar, the worst first.
    pub fn broken_by(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let holds = |figure: f64| figure < self.limit || (self.limit == 0.0 && figure <= 0.0);
        self.cases
            .iter()
            .copied()
            .filter(move |(_, figure)| !holds(*figure))
    }
}

/// Every bar with its cases.
///
/// Rejections are measured by their whole cost without making the request: a rejection runs no
/// inner service, so subtracting one would understate it. Times are those of the best round; other
/// rounds include the noise of the machine.
pub fn all(rows: &[Row]) -> Vec<Bar> {
    let accepts = |case: &str| case.ends_with("@accept");
    let rejects = |case: &str| case.ends_with("@reject");
    let layer = |case: &str| {
        case.strip_suffix("@accept")
            .is_some_and(|layer| LAYERS.contains(&layer))
    };
    let over_bare = |row: &Row| row.over_bare.instructions;
    vec![
        Bar::new(
            "all six fused, instructions over bare",
            1000.0,
            rows,
            |case| case == "fused-six@accept",
            over_bare,
        ),
        Bar::new(
            "one layer, instructions over bare",
            350.0,
            rows,
            layer,
            over_bare,
        ),
        Bar::new(
            "retry's happy path, instructions over bare",
            250.0,
            rows,
            |case| case == "retry@accept",
            over_bare,
        ),
        Bar::new(
            "the breaker with any window, instructions over bare",
            331.0,
            rows,
            |case| BREAKERS.contains(&case),
            over_bare,
        ),
        Bar::new(
            "an adaptive limit, instructions over bare",
            561.0,
            rows,
            |case| case == "adaptive@accept",
            over_bare,
        ),
        Bar::new(
            "an open breaker's rejection without its response, ns",
            200.0,
            rows,
            |case| case == "circuit-breaker-without-http@reject",
            |row| row.ns_over_unsent,
        ),
        Bar::new(
            "a rejection with its response, instructions",
            2500.0,
            rows,
            rejects,
            |row| row.over_unsent.instructions,
        ),
        Bar::new(
            "a rejection with its response, ns",
            1000.0,
            rows,
            rejects,
            |row| row.ns_over_unsent,
        ),
        Bar::new(
            // A retry copies the headers, if there are any, as that of tower does. Metrics allocate
            // for a thread's first duration in an octave.
            "allocations of an accepted call, but of a retry with headers and of metrics",
            0.0,
            rows,
            |case| {
                // `reqwest` allocates itself.
                accepts(case)
                    && case != "retry-with-headers@accept"
                    && case != "retry-of-reqwest@accept"
                    && !case.contains("-metrics@")
            },
            |row| row.over_bare.allocations,
        ),
    ]
}

/// Prints the result of each bar: the worst case if it holds, every case that misses it if not.
pub fn print(bars: &[Bar]) {
    for bar in bars {
        let Bar {
            promise,
            limit,
            cases,
        } = bar;
        let broken = bar.broken_by().count();
        match cases.first() {
            None => println!("NOT MEASURED  {promise}, bar {limit}"),
            Some((case, figure)) if broken == 0 => println!(
                "holds         {promise}, bar {limit}: worst of {} is {figure:.1} ({case})",
                cases.len()
            ),
            Some(_) => {
                println!(
                    "BROKEN        {promise}, bar {limit}: by {broken} of {}",
                    cases.len()
                );
                for (case, figure) in bar.broken_by() {
                    println!("                {figure:>9.1}  {case}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bar;

    #[test]
    fn a_bar_is_missed_at_its_limit_and_zero_allows_zero() {
        let broken = |limit, figure| {
            Bar {
                promise: "",
                limit,
                cases: vec![("case", figure)],
            }
            .broken_by()
            .count()
        };
        assert_eq!(broken(350.0, 349.9), 0);
        assert_eq!(broken(350.0, 350.0), 1);
        assert_eq!(broken(0.0, 0.0), 0);
        assert_eq!(broken(0.0, 0.5), 1);
    }
}
