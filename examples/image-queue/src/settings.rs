//! Settings from the environment.

use std::{env, str::FromStr, thread::available_parallelism};

pub(crate) struct Settings {
    pub(crate) listen: String,
    pub(crate) workers: usize,
    pub(crate) capacity: usize,
    pub(crate) max_bytes: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("{name} must be a number, got {value:?}")]
pub(crate) struct InvalidSetting {
    name: &'static str,
    value: String,
}

impl Settings {
    pub(crate) fn from_env() -> Result<Self, InvalidSetting> {
        let processors = available_parallelism().map_or(1, usize::from);
        Ok(Self {
            listen: env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned()),
            workers: number("WORKERS", processors)?,
            capacity: number("CAPACITY", 16)?,
            max_bytes: number("MAX_BYTES", 32 << 20)?,
        })
    }
}

fn number<T: FromStr>(name: &'static str, default: T) -> Result<T, InvalidSetting> {
    match env::var(name) {
        Ok(value) => value.parse().map_err(|_| InvalidSetting { name, value }),
        Err(_) => Ok(default),
    }
}
