//! Rates that change at run time.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use plimsoll_sampling::{Rates, Sampling};

use crate::Load;

#[test]
#[allow(clippy::float_cmp)] // the value is read back unchanged
fn rates_change_with_the_next_request() {
    let sampling = Sampling::new(Load::new(1.0), Rates::DEFAULT).expect("valid");
    let handle = sampling.handle();
    assert_eq!(sampling.rate(), 0.01);
    let rates = Rates {
        base: 0.5,
        min: 0.25,
        threshold: 0.9,
    };
    handle.set_rates(rates).expect("valid");
    assert_eq!((sampling.rate(), handle.rates()), (0.25, rates));
    assert!(handle.set_rates(Rates { min: 0.6, ..rates }).is_err());
    assert_eq!(handle.rates(), rates);
}

#[test]
fn no_reader_observes_mixed_rates() {
    let one = Rates {
        base: 1.0,
        min: 0.9,
        threshold: 0.1,
    };
    let other = Rates {
        base: 0.2,
        min: 0.1,
        threshold: 0.8,
    };
    let sampling = Sampling::new(Load::new(0.5), one).expect("valid");
    let (handle, over) = (sampling.handle(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                handle.set_rates(other).expect("valid");
                handle.set_rates(one).expect("valid");
            }
        });
        let looks = (0..200_000).map(|_| handle.rates());
        let mixed: Vec<_> = looks.filter(|seen| ![one, other].contains(seen)).collect();
        over.store(true, Relaxed);
        assert_eq!(mixed, []);
    });
}
