//! The figures as one page that needs nothing else: no network, no scripts.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    chart::{Chart, Series},
    escape,
};
use crate::{
    figures::{Figures, PhaseFigures, Run, Second, Server},
    settings::{BID_TIMEOUT, CLIENT_DEADLINE, LAG_BOUND, STORE_SERVICE, STORE_WORKERS},
};

const PLIMSOLL: &str = "#1d62c4";
const BARE: &str = "#d9622b";
/// For the layers of a stack.
const REASONS: [&str; 6] = [
    "#6f9bd8", "#1d62c4", "#5aa98b", "#b08bc9", "#c9a24b", "#8a8f98",
];

/// The page.
pub(crate) fn html(figures: &Figures) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n{STYLE}</head>\n<body>\n<main>\n"
    );
    _ = write!(
        page,
        "<h1>{}</h1>\n<p class=lead>The same ad server, once behind Plimsoll and once bare, under the same requests. Its store \
         has {STORE_WORKERS} workers that take {} ms for a request: <b>{:.0} auctions a second</b>, measured. Clients give \
         up after {} ms.</p>\n",
        escape(&figures.title),
        STORE_SERVICE.as_millis(),
        figures.capacity,
        CLIENT_DEADLINE.as_millis()
    );
    tiles(&mut page, figures);
    for chart in charts(figures) {
        page.push_str(&chart.figure(&figures.phases));
    }
    table(&mut page, figures);
    impressions(&mut page, figures);
    _ = write!(
        page,
        "<section class=notes><h2>How to read this</h2><p>The generator is open loop: requests are sent when they are due, \
         whatever became of the earlier ones, and latency counts from that moment. A phase in which it sent anything more than \
         {} ms late is void. <b>Goodput</b> is auctions answered in time with the winner's ad, over the measured capacity. \
         <b>House</b> is auctions answered in time with a house ad. <b>Late</b> is auctions whose client gave up, or that \
         failed. <b>Refused</b> is by policy: rate-limit turns auctions of a publisher over its quota away, concurrency \
         auctions that the store has no room for (they get a house ad), load-shed impressions, circuit-breaker bids. \
         Auctions wait {} ms for a bid, with and without Plimsoll. Memory is the server's resident memory.</p></section>",
        LAG_BOUND.as_millis(),
        BID_TIMEOUT.as_millis()
    );
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

/// What a tile shows of a run.
type Value<'a> = &'a dyn Fn(&Run) -> String;

/// The heaviest phase in four numbers.
fn tiles(page: &mut String, figures: &Figures) {
    let offered = |phase: &&PhaseFigures| phase.plimsoll.total.offered_rps();
    let Some(phase) = figures
        .phases
        .iter()
        .max_by(|a, b| offered(a).total_cmp(&offered(b)))
    else {
        return;
    };
    let share = |run: &Run| format!("{:.0} %", run.goodput(figures.capacity) * 100.0);
    let p99 = |run: &Run| format!("{:.0} ms", run.total.p99_ms);
    let late = |run: &Run| format!("{}", run.total.late + run.total.failed + run.total.unsent);
    let peak = |run: &Run| format!("{:.0} MiB", run.peak_mib);
    let rows: [(&str, Value<'_>); 4] = [
        ("goodput, of capacity", &share),
        ("p99 of what was answered", &p99),
        ("clients that gave up", &late),
        ("peak memory", &peak),
    ];
    let times = offered(&phase) / figures.capacity;
    _ = write!(
        page,
        "<div class=tiles><h2>{}: {times:.1} times the capacity</h2>",
        escape(&phase.name)
    );
    for (name, value) in rows {
        _ = write!(
            page,
            "<div><small>{name}</small><b style=\"color:{PLIMSOLL}\">{}</b><span>bare: <em style=\"color:{BARE}\">{}</em></span></div>",
            value(&phase.plimsoll),
            value(&phase.bare)
        );
    }
    page.push_str("</div>\n");
}

fn charts(figures: &Figures) -> Vec<Chart<'static>> {
    let capacity = figures.capacity;
    let both = |value: &dyn Fn(&Second) -> f64| -> Vec<Series> {
        let line = |server: Server, color| Series {
            name: server.name().to_owned(),
            color,
            values: values(figures, server, value),
        };
        vec![line(Server::Plimsoll, PLIMSOLL), line(Server::Bare, BARE)]
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
            title: "Refused",
            unit: "by Plimsoll, a second, by policy",
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
        .map(|(name, color)| Series {
            name: name.clone(),
            color,
            values: values(figures, Server::Plimsoll, |second| {
                second.tally.refused.get(name).copied().unwrap_or(0) as f64
            }),
        })
        .collect()
}

fn table(page: &mut String, figures: &Figures) {
    page.push_str(
        "<h2>All figures</h2>\n<div class=wide><table><thead><tr><th>phase<th>server<th>offered/s<th>answered/s<th>goodput\
         <th>house/s<th>late/s<th>p50 ms<th>p99 ms<th>p99.9 ms<th>peak MiB<th>lag ms<th class=text>refused</tr></thead>\n",
    );
    for phase in &figures.phases {
        page.push_str("<tbody>");
        for (server, run) in phase.runs() {
            let total = &run.total;
            let per_second = |count: u64| count as f64 / total.seconds.max(f64::EPSILON);
            let mut refused = String::new();
            for (policy, count) in &total.refused {
                _ = write!(refused, "<span>{} {count}</span> ", escape(policy));
            }
            let name = if server == Server::Plimsoll {
                format!("<th rowspan=2 scope=rowgroup>{}", escape(&phase.name))
            } else {
                String::new()
            };
            _ = writeln!(
                page,
                "<tr class={server_name}>{name}<td class=text>{server_name}<td>{:.0}<td>{:.0}<td><b>{:.2}</b><td>{:.0}<td>{:.0}\
                 <td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.1}{}<td class=\"text reasons\">{refused}</tr>",
                total.offered_rps(),
                total.goodput_rps(),
                run.goodput(figures.capacity),
                per_second(total.degraded),
                per_second(total.late + total.failed + total.unsent),
                total.p50_ms,
                total.p99_ms,
                total.p999_ms,
                run.peak_mib,
                total.worst_lag_ms,
                if run.is_void() { " <em>void</em>" } else { "" },
                server_name = server.name(),
            );
        }
        page.push_str("</tbody>\n");
    }
    page.push_str("</table></div>\n");
}

/// How impressions fared by criticality, the most important last to go; and the analytics.
fn impressions(page: &mut String, figures: &Figures) {
    page.push_str(
        "<h2>What is spared under load: impressions taken, by criticality, and answered auctions recorded by analytics</h2>\n<div class=wide><table><thead><tr><th>phase<th>CRITICAL_PLUS<th>CRITICAL\
         <th>SHEDDABLE_PLUS<th>SHEDDABLE<th>recorded</tr></thead><tbody>\n",
    );
    for phase in &figures.phases {
        _ = write!(page, "<tr><th scope=row>{}", escape(&phase.name));
        for name in ["CRITICAL_PLUS", "CRITICAL", "SHEDDABLE_PLUS", "SHEDDABLE"] {
            let impressions = phase
                .plimsoll
                .total
                .impressions
                .get(name)
                .copied()
                .unwrap_or_default();
            let share = impressions.taken as f64 / impressions.offered.max(1) as f64;
            _ = write!(page, "<td>{:.0} %", share * 100.0);
        }
        let total = &phase.plimsoll.total;
        let share = total.recorded as f64 / total.answered.max(1) as f64;
        _ = writeln!(page, "<td>{:.0} %</tr>", share * 100.0);
    }
    page.push_str("</tbody></table></div>\n");
}

const STYLE: &str = "<title>adserver</title>
<style>
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff }
body { margin: 0 } main { max-width: 1080px; margin: 0 auto; padding: 2rem 1.2rem 4rem }
h1 { font-size: 1.9rem; margin: 0 0 .4rem } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem }
.lead { font-size: 1.08rem; max-width: 62em; margin: 0 0 1.4rem; color: #3b4656 }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: .8rem; margin-bottom: 1.6rem }
.tiles h2 { grid-column: 1 / -1; margin: 0 }
.tiles div { border: 1px solid #dfe4ea; border-radius: 8px; padding: .7rem .9rem; display: flex; flex-direction: column }
.tiles b { font-size: 1.9rem; line-height: 1.25; font-variant-numeric: tabular-nums } small { color: #647083 }
.tiles em, td em { font-style: normal; font-weight: 600 } td em { color: #b3261e }
figure { margin: 0 0 1.3rem } figcaption { display: flex; gap: .5rem 1.1rem; align-items: baseline; flex-wrap: wrap }
figcaption span { font-size: .88rem } figcaption i { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em }
svg { width: 100%; height: auto; display: block; font-size: 11.5px; font-family: inherit }
.band { fill: #f5f7fa } .grid { stroke: #e3e8ee } .tick { text-anchor: end; fill: #647083 }
.second, .phase { text-anchor: middle; fill: #647083 } .phase { fill: #1c2430; font-weight: 600 }
.mark { stroke: #8892a0; stroke-dasharray: 5 4 } .marked { text-anchor: end; fill: #647083 }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round } .tip { fill: transparent }
.tip:hover { fill: #1c24300d }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .84rem; font-variant-numeric: tabular-nums; width: 100% }
th, td { text-align: right; padding: .28rem .42rem; white-space: nowrap } thead th { color: #647083; font-weight: 600; vertical-align: bottom }
th[scope], thead th:first-child { text-align: left; vertical-align: top } .text, thead th:nth-child(2) { text-align: left }
.reasons { white-space: normal; line-height: 1.3; min-width: 10.5em } .reasons span { white-space: nowrap; margin-right: .6em }
.wide + h2 + .wide thead th:nth-child(2) { text-align: right }
tbody { border-top: 1px solid #dfe4ea } tr.plimsoll td:nth-of-type(1) { color: #1d62c4; font-weight: 600 } tr.bare td { color: #6b7684 }
.notes { color: #3b4656; font-size: .92rem; max-width: 66em }
@media (max-width: 700px) { .tiles { grid-template-columns: 1fr 1fr } }
</style>
";
