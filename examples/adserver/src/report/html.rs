//! The figures as one page without scripts and references to other files.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    chart::{Chart, Series},
    escape, tables, tiles,
};
use crate::{
    figures::{Figures, PhaseFigures, Second, Server},
    settings::{BID_TIMEOUT, CLIENT_DEADLINE, LAG_BOUND, STORE_SERVICE, STORE_WORKERS},
};

/// Inlined: the page must not need another file. The colours are those of the board, so that an
/// outcome looks the same in both.
const STYLE: &str = concat!(
    include_str!("../../../../crates/plimsoll-dashboard/src/page/colours.css"),
    include_str!("style.css")
);
/// Classes of stacked areas. `colours.css` has their colours, for light and dark pages.
const REASONS: [&str; 6] = ["r0", "r1", "r2", "r3", "r4", "r5"];

/// Returns the page.
pub(crate) fn html(figures: &Figures) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\n<title>Ad server: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&figures.title)
    );
    _ = write!(
        page,
        "<h1>{}</h1>\n<p class=lead>The same ad server, once behind Plimsoll and once bare, under the same requests. Its store \
         has {STORE_WORKERS} workers that take {} ms for a request: <b>{:.0} auctions per second</b>, measured. Clients give \
         up after {} ms.</p>\n",
        escape(&figures.title),
        STORE_SERVICE.as_millis(),
        figures.capacity,
        CLIENT_DEADLINE.as_millis()
    );
    tiles::notice(&mut page, figures);
    tiles::tiles(&mut page, figures);
    for chart in charts(figures) {
        page.push_str(&chart.figure(&figures.phases));
    }
    tables::all(&mut page, figures);
    tables::impressions(&mut page, figures);
    _ = write!(
        page,
        "<section class=notes><h2>How to read this</h2><p>The generator is open loop: requests are sent when they are due, \
         whether or not earlier ones were answered, and latency counts from then. A phase with a request sent more than \
         {} ms late is void. <b>Goodput</b> is auctions answered in time with the winner's ad, over the measured capacity. \
         <b>House</b> is auctions answered in time with a house ad. <b>Late</b> is auctions whose client gave up, or that \
         failed. <b>Rejected</b> is by policy: rate-limit rejects auctions of a publisher over its quota, concurrency \
         auctions beyond the store's capacity (they get a house ad), load-shed impressions, circuit-breaker bids. \
         Auctions wait {} ms for a bid, with and without Plimsoll. Memory is the server's resident memory.</p></section>",
        LAG_BOUND.as_millis(),
        BID_TIMEOUT.as_millis()
    );
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn charts(figures: &Figures) -> Vec<Chart<'static>> {
    let capacity = figures.capacity;
    let both = |value: &dyn Fn(&Second) -> f64| -> Vec<Series> {
        let line = |server: Server| Series {
            name: server.name().to_owned(),
            class: server.name(),
            values: values(figures, server, value),
        };
        Server::BOTH.map(line).into()
    };
    let p99 = |second: &Second| {
        if second.tally.answered == 0 {
            f64::NAN
        } else {
            second.tally.p99_ms
        }
    };
    vec![
        Chart {
            title: "Goodput",
            unit: "auctions answered in time, as a share of the capacity",
            series: both(&|second| second.tally.goodput_rps() / capacity),
            stacked: false,
            mark: Some((1.0, "capacity")),
        },
        Chart {
            title: "Latency",
            unit: "p99 of answered auctions, in ms; a gap where none was answered",
            series: both(&p99),
            stacked: false,
            mark: Some((CLIENT_DEADLINE.as_secs_f64() * 1_000.0, "clients give up")),
        },
        Chart {
            title: "Rejected",
            unit: "by Plimsoll, per second, by policy",
            series: reasons(figures),
            stacked: true,
            mark: None,
        },
        Chart {
            title: "Memory",
            unit: "of the server, in MiB",
            series: both(&|second| second.memory_mib),
            stacked: false,
            mark: None,
        },
    ]
}

fn values(figures: &Figures, server: Server, value: impl Fn(&Second) -> f64) -> Vec<Vec<f64>> {
    let run = |phase: &PhaseFigures| -> Vec<f64> {
        phase.run(server).seconds.iter().map(&value).collect()
    };
    figures.phases.iter().map(run).collect()
}

fn reasons(figures: &Figures) -> Vec<Series> {
    let runs = figures.phases.iter().map(|phase| &phase.plimsoll.total);
    let names: BTreeSet<&String> = runs.flat_map(|total| total.refused.keys()).collect();
    let names = names.into_iter().zip(REASONS.into_iter().cycle());
    names
        .map(|(name, class)| Series {
            name: name.clone(),
            class,
            values: values(figures, Server::Plimsoll, |second| {
                second.tally.refused.get(name).copied().unwrap_or(0) as f64
            }),
        })
        .collect()
}
