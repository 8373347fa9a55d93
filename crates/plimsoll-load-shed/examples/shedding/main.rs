//! Compares controllers of a shedding threshold in front of a queue.
//!
//! ```sh
//! cargo run --release -p plimsoll-load-shed --example shedding
//! ```
#![allow(clippy::print_stdout)] // the output of this program is a table
#![allow(missing_docs, unreachable_pub, dead_code)]

mod contenders;
mod lab;

use self::{
    contenders::{Adaptive, Dagor, Nothing, Pi},
    lab::{Second, Service, Shed, one_to_twelve, run, sum},
};

/// Seconds at 0.5 of the capacity, of the overload, and at 0.5 again.
const CALM: usize = 10;
const STORM: usize = 60;
const AFTER: usize = 20;

const SERVICES: [Service; 4] = [
    Service {
        workers: 4,
        mean: 0.004,
        deadline: 0.1,
    },
    Service {
        workers: 50,
        mean: 0.02,
        deadline: 0.2,
    },
    Service {
        workers: 50,
        mean: 0.5,
        deadline: 5.0,
    },
    Service {
        workers: 500,
        mean: 0.05,
        deadline: 0.5,
    },
];

fn main() -> Result<(), plimsoll_load_shed::InvalidQueueDelay> {
    println!("workers service  load  controller goodput  high  first5s  admitted/s  back");
    for service in SERVICES {
        for load in [2.0, 5.0, 12.0] {
            row(service, load, "adaptive", &mut Adaptive::new());
            row(service, load, "DAGOR", &mut Dagor::new());
            row(service, load, "PI", &mut Pi::new()?);
            row(service, load, "nothing", &mut Nothing);
        }
    }
    Ok(())
}

fn row(service: Service, load: f64, name: &str, shed: &mut impl Shed) {
    let capacity = service.capacity();
    let rates = std::iter::repeat_n(0.5 * capacity, CALM)
        .chain(std::iter::repeat_n(load * capacity, STORM))
        .chain(std::iter::repeat_n(0.5 * capacity, AFTER));
    let seconds = run(service, rates, one_to_twelve, shed, 7);
    // The first five seconds of the overload are reported separately.
    let storm = &seconds[CALM + 5..CALM + STORM];
    let goodput = |of: &[Second]| {
        sum(of, |second| second.in_time).iter().sum::<f64>() / (of.len() as f64 * capacity)
    };
    let arrived = sum(storm, |second| second.arrived);
    let high = sum(storm, |second| second.in_time)[3] / arrived[3];
    let admitted = storm
        .iter()
        .map(|second| f64::from(second.admitted.iter().sum::<u32>()) / capacity);
    let (least, most) = admitted.fold((f64::MAX, 0.0_f64), |(least, most), now| {
        (least.min(now), most.max(now))
    });
    let back = seconds[CALM + STORM..]
        .iter()
        .position(|second| second.threshold == 0);
    println!(
        "{:>5} {:>5.0} ms {load:>5}  {name:<10} {:>7.3} {high:>7.4} {:>8.3}  {least:>4.2}-{most:>5.2} {:>5}",
        service.workers,
        service.mean * 1e3,
        goodput(storm),
        goodput(&seconds[CALM..CALM + 5]),
        back.map_or("never".into(), |after| format!("{} s", after + 1)),
    );
}
