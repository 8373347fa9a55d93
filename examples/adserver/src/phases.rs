//! The phases of the load.

use crate::settings::BIDDERS;

/// One phase: a load, and events at the bidders.
#[derive(Debug, Clone)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    /// Auctions offered, as a multiple of the measured capacity.
    pub(crate) load: f64,
    /// Its length, as a multiple of the usual one.
    pub(crate) length: f64,
    /// Whether it begins with an idle store. The phases after an overload do not.
    pub(crate) fresh: bool,
    /// Commands to bidders.
    pub(crate) events: Vec<Event>,
}

/// A command to a bidder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    /// When, as a share of the phase.
    pub(crate) at: f64,
    /// An index into [`BIDDERS`].
    pub(crate) bidder: usize,
    pub(crate) command: &'static str,
}

/// Returns all phases, in order.
pub(crate) fn all() -> Vec<Phase> {
    let phase = |name, load, fresh| Phase {
        name,
        load,
        length: 1.0,
        fresh,
        events: Vec::new(),
    };
    let event = |at, bidder, command| Event {
        at,
        bidder,
        command,
    };
    let well = |at| {
        (0..BIDDERS.len())
            .map(move |bidder| event(at, bidder, "well"))
            .collect()
    };
    vec![
        Phase {
            length: 0.5,
            ..phase("warm-up", 0.5, true)
        },
        phase("1x", 1.0, true),
        phase("3x", 3.0, true),
        phase("10x", 10.0, true),
        // A normal load, but the store may still be busy with requests whose callers have left.
        phase("after 10x", 0.8, false),
        // One bidder becomes slow, and half-way another one fails.
        Phase {
            events: vec![event(0.0, 0, "slow"), event(0.5, 1, "fail")],
            ..phase("slow bidder", 1.0, true)
        },
        Phase {
            events: well(0.0),
            ..phase("recovery", 0.8, false)
        },
    ]
}

/// Returns the phases with these names, in their usual order.
///
/// # Errors
///
/// When there is no phase of one of the names.
pub(crate) fn named(names: &[String]) -> Result<Vec<Phase>, String> {
    let all = all();
    if let Some(unknown) = names
        .iter()
        .find(|name| all.iter().all(|phase| phase.name != **name))
    {
        let known: Vec<_> = all.iter().map(|phase| phase.name).collect();
        return Err(format!(
            "no phase is called {unknown:?}; there are: {}",
            known.join(", ")
        ));
    }
    Ok(all
        .into_iter()
        .filter(|phase| names.iter().any(|name| name == phase.name))
        .collect())
}

/// Returns the one phase of a trace's replay.
pub(crate) fn replay() -> Phase {
    Phase {
        name: "replay",
        load: 1.0,
        length: 1.0,
        fresh: true,
        events: Vec::new(),
    }
}
