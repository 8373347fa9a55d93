//! The bounds of settings.

use crate::{
    InvalidDashboard,
    actions::{Action, MAX_ACTIONS},
    fleet::MAX_PEERS,
    viewers::MAX_VIEWERS,
};

/// The longest name of a peer, in bytes: addresses with a port are shorter.
/// `law_09_settings_are_checked` fails when it differs.
const MAX_NAME: usize = 200;

pub(crate) fn viewers(viewers: usize) -> Result<(), InvalidDashboard> {
    if (1..=MAX_VIEWERS).contains(&viewers) {
        Ok(())
    } else {
        Err(InvalidDashboard::Viewers(viewers))
    }
}

pub(crate) fn peers(names: &[String]) -> Result<(), InvalidDashboard> {
    if names.len() > MAX_PEERS {
        return Err(InvalidDashboard::Peers(names.len()));
    }
    for (at, name) in names.iter().enumerate() {
        let twice = names.iter().take(at).any(|other| other == name);
        if twice || name.is_empty() || name.len() > MAX_NAME {
            return Err(InvalidDashboard::PeerName(name.clone()));
        }
    }
    Ok(())
}

pub(crate) fn actions(actions: &[Action], writable: bool) -> Result<(), InvalidDashboard> {
    if actions.len() > MAX_ACTIONS {
        return Err(InvalidDashboard::Actions(actions.len()));
    }
    if !writable && !actions.is_empty() {
        return Err(InvalidDashboard::NotWritable);
    }
    for (at, action) in actions.iter().enumerate() {
        let same = |of: &Action| of.gate == action.gate && of.name == action.name;
        if actions.iter().take(at).any(same) || !action.control.is_valid() {
            return Err(InvalidDashboard::Action {
                gate: action.gate.clone(),
                name: action.name.clone(),
            });
        }
    }
    Ok(())
}
