//! A virtual-time laboratory for overload.
#![deny(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod backend;
mod caller;
mod clock;
mod contender;
mod law;
mod measure;
mod run;
mod scenario;
mod schedule;
mod world;

fn main() {
    let mut args = std::env::args().skip(1);
    let file = args.next().expect("scenario file");
    let only = args.next();
    let text = std::fs::read_to_string(&file).unwrap();
    let scenario: scenario::Scenario = toml::from_str(&text).unwrap();
    println!("{}", scenario.about);
    for server in &scenario.server {
        for load in &scenario.load {
            let point = run::Point {
                scenario: &scenario,
                server,
                load: *load,
            };
            for contender in contender::ALL {
                if only.as_ref().is_some_and(|only| only != contender.name) {
                    continue;
                }
                let began = clock::real_seconds();
                let mut ledger = run::run(point, contender, 2.0, 1);
                let total = ledger.total();
                let counted = point.seconds() - point.warm_up();
                let goodput = total.in_time as f64 / counted / server.capacity();
                println!(
                    "{:40} {:12} goodput {:.3} late {} refused {} p50 {:.1} p99 {:.1} limit {:?}  [{:.1} s]",
                    point.name(),
                    contender.name,
                    goodput,
                    total.late,
                    total.refused,
                    ledger.latency_ms(0.5).unwrap_or(0.0),
                    ledger.latency_ms(0.99).unwrap_or(0.0),
                    ledger.limits.last(),
                    clock::real_seconds() - began
                );
            }
        }
    }
}
