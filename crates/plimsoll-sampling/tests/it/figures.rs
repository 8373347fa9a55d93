//! What a dashboard reads of a sampling.

use http::Request;
use plimsoll_core::{
    Policy,
    figures::{Figures, RATE},
};
use plimsoll_sampling::{Rates, Sampling};
use tokio::time::Instant;

use crate::Load;

#[test]
fn the_rate_is_that_of_the_latest_request() {
    let load = Load::new(0.0);
    let sampling = Sampling::new(load.clone(), Rates::DEFAULT).expect("valid");
    let handle = sampling.handle();
    let rate = || {
        let mut rate = None;
        handle.read(&mut |figure, value| rate = rate.or(figure.is(&RATE).then_some(value)));
        rate.expect("a rate")
    };
    assert_eq!(rate().to_bits(), 1.0_f64.to_bits());
    load.set(1.0);
    assert_eq!(rate().to_bits(), 1.0_f64.to_bits(), "no request yet");
    _ = sampling.admit(&mut Request::new(()), Instant::now());
    assert_eq!(rate().to_bits(), 0.01_f64.to_bits());
}
