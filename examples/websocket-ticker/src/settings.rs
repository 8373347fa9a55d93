//! Settings from the environment.

use std::{env, time::Duration};

pub(crate) struct Settings {
    pub(crate) listen: String,
    /// The interval of ticks.
    pub(crate) tick: Duration,
    /// Queued messages per client.
    pub(crate) capacity: usize,
    /// How long a client that blocks may stay over its mark.
    pub(crate) over_mark: Duration,
    pub(crate) write_deadline: Duration,
}

#[derive(Debug, thiserror::Error)]
#[error("{name} must be a number above 0, got {value:?}")]
pub(crate) struct InvalidSetting {
    name: &'static str,
    value: String,
}

impl Settings {
    pub(crate) fn from_env() -> Result<Self, InvalidSetting> {
        let millis = |name, default| number(name, default).map(Duration::from_millis);
        Ok(Self {
            listen: env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned()),
            tick: millis("TICK_MS", 50)?,
            capacity: usize::try_from(number("CAPACITY", 50)?).unwrap_or(usize::MAX),
            over_mark: millis("OVER_MARK_MS", 3_000)?,
            write_deadline: millis("WRITE_DEADLINE_MS", 5_000)?,
        })
    }
}

fn number(name: &'static str, default: u64) -> Result<u64, InvalidSetting> {
    let Ok(value) = env::var(name) else {
        return Ok(default);
    };
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(InvalidSetting { name, value }),
    }
}
