//! Compares the algorithms: the most that a greedy client gets, and the same traffic through each.
//!
//! ```sh
//! cargo run -q -p plimsoll-rate-limit --example algorithms                            # the table
//! cargo run -q -p plimsoll-rate-limit --example algorithms -- docs/rate-limiting.svg  # and the plot
//! ```
//!
//! The policies are the real ones. Time is virtual (tokio's paused clock), so a run takes a few
//! seconds and two runs are equal.
#![allow(clippy::print_stdout)]

mod chart;
mod clients;
mod greedy;

use std::{convert::Infallible, error::Error, time::Duration};

use plimsoll_core::Policy;
use plimsoll_rate_limit::{LeakyBucket, Quota, RateLimit, SlidingLog};

use self::{clients::replay, greedy::Greedy};

/// The limit of all algorithms: requests per period.
const LIMIT: u32 = 100;
const PERIOD: Duration = Duration::from_secs(60);

/// An algorithm and its results.
struct Row {
    name: &'static str,
    /// The class that sets its colour in the plot.
    class: &'static str,
    greedy: Greedy,
    /// When the requests of the plot were admitted.
    admitted: Vec<Duration>,
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn Error>> {
    let offered = clients::arrivals();
    let rows = rows(&offered).await?;
    println!("{LIMIT} requests per {PERIOD:?}; a client that takes all it can get:\n");
    println!("| algorithm | most in any one period | exact wait? |\n|---|--:|---|");
    for Row { name, greedy, .. } in &rows {
        println!("| {name} | {} | {} |", greedy.most, greedy.wait());
    }
    println!("\nOf the {} requests of the plot:\n", offered.len());
    println!("| algorithm | admitted |\n|---|--:|");
    for Row { name, admitted, .. } in &rows {
        println!("| {name} | {} |", admitted.len());
    }
    if let Some(path) = std::env::args().nth(1) {
        std::fs::write(&path, chart::svg(&offered, &rows))?;
        println!("\nThe plot is in {path}.");
    }
    Ok(())
}

async fn rows(offered: &[Duration]) -> Result<Vec<Row>, Box<dyn Error>> {
    let quota = Quota::new(LIMIT, PERIOD);
    let limit = move |quota: Quota| move || RateLimit::new(quota).map_err(Box::<dyn Error>::from);
    let log = || SlidingLog::new(LIMIT, PERIOD).map_err(Box::<dyn Error>::from);
    Ok(vec![
        meter("token bucket", "bucket", offered, limit(quota)).await?,
        meter(
            "token bucket, burst 10",
            "bucket short",
            offered,
            limit(quota.burst(10)),
        )
        .await?,
        meter(
            "fixed window",
            "fixed",
            offered,
            limit(quota.fixed_window()),
        )
        .await?,
        meter(
            "sliding counter",
            "counter",
            offered,
            limit(quota.sliding_window()),
        )
        .await?,
        meter("sliding log", "log", offered, log).await?,
        Row {
            name: "leaky bucket",
            class: "leaky",
            greedy: greedy::of_a_shaper(&leaky_bucket).await?,
            admitted: replay(leaky_bucket()?, offered).await,
        },
    ])
}

/// Up to 15 seconds in the queue: 25 requests.
fn leaky_bucket() -> Result<LeakyBucket, Box<dyn Error>> {
    Ok(LeakyBucket::new(LIMIT, PERIOD)?.max_wait(Duration::from_secs(15))?)
}

/// A policy that decides at once.
async fn meter<P>(
    name: &'static str,
    class: &'static str,
    offered: &[Duration],
    make: impl Fn() -> Result<P, Box<dyn Error>>,
) -> Result<Row, Box<dyn Error>>
where
    P: Policy<(), Wait = Infallible> + 'static,
{
    Ok(Row {
        name,
        class,
        greedy: greedy::of_a_meter(&make)?,
        admitted: replay(make()?, offered).await,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The guide and this program must agree.
    #[tokio::test(start_paused = true)]
    async fn the_guide_has_the_figures_of_this_program() {
        let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rate-limiting.md");
        let guide = std::fs::read_to_string(guide).expect("the guide");
        let rows = rows(&clients::arrivals()).await.expect("valid settings");
        for Row { name, greedy, .. } in rows {
            let row = guide
                .lines()
                .find(|line| line.starts_with(&format!("| **{name}** |")));
            let cells: Vec<_> = row.unwrap_or_default().split(" | ").collect();
            assert_eq!(cells.get(2), Some(&&*greedy.most.to_string()), "{name}");
            assert_eq!(cells.get(5), Some(&greedy.wait()), "{name}");
        }
    }
}
