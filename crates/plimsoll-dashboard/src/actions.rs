//! Changes that operators make from the page.

use std::{
    fmt,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind},
};

use axum::http::request::Parts;
use plimsoll_core::figures::{Change, Figure};
use plimsoll_metrics::Metrics;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{board::fnv, guard::Guard};

/// The highest number of actions.
pub(crate) const MAX_ACTIONS: usize = 256;

/// The figure of events that an action made.
static ACTION: Figure = Figure::gauge("action", "Change by an operator");

/// What an operator can enter for an action.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Control {
    /// A button without a value: reset a breaker, unpin a limit.
    Button,
    /// A finite number within the range: set or pin a limit.
    Number(RangeInclusive<f64>),
    /// One of these: the state of a breaker, shadow mode on or off.
    Choice(&'static [&'static str]),
}

/// What an operator entered. It fits the [`Control`] of the action.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// A button, which has no value.
    Pressed,
    /// A number within the range.
    Number(f64),
    /// One of the choices.
    Choice(&'static str),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pressed => f.write_str("pressed"),
            Self::Number(number) => number.fmt(f),
            Self::Choice(choice) => f.write_str(choice),
        }
    }
}

impl Control {
    /// The input, if it fits.
    fn input(&self, value: &Value) -> Option<Input> {
        match self {
            Self::Button => value.is_null().then_some(Input::Pressed),
            Self::Number(range) => {
                let number = value.as_f64().filter(|number| range.contains(number))?;
                Some(Input::Number(number))
            }
            Self::Choice(choices) => {
                let chosen = value.as_str()?;
                let choice = choices.iter().find(|choice| **choice == chosen)?;
                Some(Input::Choice(choice))
            }
        }
    }

    pub(crate) fn is_valid(&self) -> bool {
        match self {
            Self::Button => true,
            Self::Number(range) => {
                range.start().is_finite() && range.end().is_finite() && !range.is_empty()
            }
            Self::Choice(choices) => !choices.is_empty(),
        }
    }
}

/// The user's function that authorizes a request.
pub(crate) type Authorize = Box<dyn Fn(&Parts) -> bool + Send + Sync>;
type Run = Box<dyn Fn(Input) -> Result<(), String> + Send + Sync>;

pub(crate) struct Action {
    pub(crate) gate: String,
    pub(crate) name: String,
    pub(crate) control: Control,
    pub(crate) run: Run,
}

/// The actions, and the function that authorizes them.
pub(crate) struct Actions {
    pub(crate) list: Vec<Action>,
    pub(crate) authorize: Authorize,
    pub(crate) guard: Guard,
}

/// The request of a page: which action, with what.
#[derive(Deserialize)]
pub(crate) struct Command {
    gate: String,
    name: String,
    value: Value,
}

/// Why a command did nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Unknown,
    Input,
    Failed(String),
}

/// An action as the page reads it.
#[derive(Serialize)]
struct Shown<'a> {
    /// The hash of the gate's name, as in updates.
    id: String,
    gate: &'a str,
    name: &'a str,
    control: &'static str,
    min: Option<f64>,
    max: Option<f64>,
    choices: &'a [&'static str],
}

/// All actions, and the token that a command needs.
#[derive(Serialize)]
pub(crate) struct Listing<'a> {
    token: Option<String>,
    actions: Vec<Shown<'a>>,
}

impl Actions {
    /// Whether the user's function authorizes the request. A panic in it is a no.
    pub(crate) fn authorizes(&self, parts: &Parts) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.authorize)(parts))).unwrap_or(false)
    }

    /// The actions for a page that is authorized; none for others.
    pub(crate) fn listing(&self, token: Option<String>) -> Listing<'_> {
        let list = if token.is_some() { &*self.list } else { &[] };
        let shown = list.iter().map(|action| {
            let (control, min, max, choices) = match &action.control {
                Control::Button => ("button", None, None, &[][..]),
                Control::Number(range) => {
                    ("number", Some(*range.start()), Some(*range.end()), &[][..])
                }
                Control::Choice(choices) => ("choice", None, None, *choices),
            };
            Shown {
                id: format!("{:016x}", fnv(action.gate.as_bytes())),
                gate: &action.gate,
                name: &action.name,
                control,
                min,
                max,
                choices,
            }
        });
        let actions = shown.collect();
        Listing { token, actions }
    }

    /// Runs a command, and records it as an event.
    pub(crate) fn run(&self, command: &Command, metrics: &Metrics) -> Result<(), Fault> {
        let mut list = self.list.iter();
        let action = list
            .find(|action| action.gate == command.gate && action.name == command.name)
            .ok_or(Fault::Unknown)?;
        let input = action.control.input(&command.value).ok_or(Fault::Input)?;
        match catch_unwind(AssertUnwindSafe(|| (action.run)(input))) {
            Ok(result) => result.map_err(Fault::Failed)?,
            Err(_) => return Err(Fault::Failed("the action panicked".to_owned())),
        }
        let to = match input {
            Input::Number(number) => number,
            _ => f64::NAN,
        };
        let reason = format!("{}: {input}, by hand on the board", action.name);
        metrics.record_event(
            &action.gate,
            "board",
            &Change::new(&ACTION, f64::NAN, to, reason),
        );
        Ok(())
    }
}
