//! The tables of the page.

use std::fmt::Write;

use super::escape;
use crate::{
    figures::{Figures, Server},
    tally::Tally,
};

/// Writes all figures, one row for each phase and server.
pub(super) fn all(page: &mut String, figures: &Figures) {
    page.push_str(
        "<h2 id=all>All figures</h2>\n<div class=wide role=region aria-labelledby=all tabindex=0><table><thead><tr><th>phase<th>server<th>offered/s<th>answered/s<th>goodput\
         <th>house/s<th>late/s<th>p50 ms<th>p99 ms<th>p99.9 ms<th>peak MiB<th>lag ms<th class=text>rejected</tr></thead>\n",
    );
    for phase in &figures.phases {
        page.push_str("<tbody>");
        for (server, run) in phase.runs() {
            let total = &run.total;
            let per_second = |count: u64| count as f64 / total.seconds.max(f64::EPSILON);
            let refused = match server {
                // One cell for both servers, so that its lines do not move the rows apart.
                Server::Plimsoll if phase.bare.total.refused.is_empty() => {
                    format!("<td rowspan=2 class=\"text reasons\">{}", reasons(total))
                }
                Server::Bare if total.refused.is_empty() => String::new(),
                _ => format!("<td class=\"text reasons\">{}", reasons(total)),
            };
            let name = if server == Server::Plimsoll {
                format!("<th rowspan=2 scope=rowgroup>{}", escape(&phase.name))
            } else {
                String::new()
            };
            _ = writeln!(
                page,
                "<tr class={server_name}>{name}<td class=text>{server_name}<td>{:.0}<td>{:.0}<td><b>{:.2}</b><td>{:.0}<td>{:.0}\
                 <td>{:.0}<td>{:.0}<td>{:.0}<td>{:.0}<td>{:.1}{}{refused}</tr>",
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

/// Formats the rejections by policy.
fn reasons(total: &Tally) -> String {
    let mut reasons = String::new();
    for (policy, count) in &total.refused {
        _ = write!(reasons, "<span>{} {count}</span> ", escape(policy));
    }
    reasons
}

/// Writes the accepted impressions by criticality, and the recorded auctions.
pub(super) fn impressions(page: &mut String, figures: &Figures) {
    page.push_str(
        "<h2 id=impressions>Impressions accepted by Plimsoll, by criticality, and answered auctions recorded by analytics</h2>\n\
         <div class=wide role=region aria-labelledby=impressions tabindex=0><table><thead><tr><th>phase<th>CRITICAL_PLUS<th>CRITICAL\
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
