//! The cases that are measured.

pub mod bare;
mod base;
mod case;
mod client;
pub mod governor;
mod metrics;
mod peers;
pub mod plimsoll;
mod reqwest;
mod resilience;
mod stacks;
mod tower;

pub use self::{
    base::{Base, Empty, Make},
    case::Case,
};

/// Every case whose name contains `only`, and the baselines.
pub fn all(only: &str) -> Vec<Case> {
    let mut cases = bare::cases();
    let others = [
        tower::cases(),
        governor::cases(),
        resilience::cases(),
        plimsoll::cases(),
        metrics::cases(),
        client::cases(),
        peers::cases(),
        reqwest::cases(),
        stacks::cases(),
    ];
    cases.extend(
        others
            .into_iter()
            .flatten()
            .filter(|case| case.name.contains(only)),
    );
    cases
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::all;

    #[test]
    fn every_case_ends_as_named() {
        for case in all("") {
            for (thread, mut driver) in case.drivers(2).into_iter().enumerate() {
                let tally = driver(20);
                assert!(
                    case.is_right(tally),
                    "{} on thread {thread}: {tally:?}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn names_are_unique_and_baselines_exist() {
        let cases = all("");
        let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in &cases {
            assert!(names.contains(case.base.bare) && names.contains(case.base.unsent));
        }
    }
}
