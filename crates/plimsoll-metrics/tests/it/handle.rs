//! A handle whose figures a test sets.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use plimsoll_core::figures::{Change, Figure, Figures};

type Callback = Arc<dyn Fn(&Change) + Send + Sync>;

/// Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Handle(Arc<Inner>);

#[derive(Default)]
struct Inner {
    figures: Mutex<Vec<(&'static Figure, f64)>>,
    settings: Mutex<Vec<(&'static str, String)>>,
    callbacks: Mutex<Vec<Callback>>,
    /// Whether it reports its changes by itself.
    reports: bool,
}

impl Handle {
    pub(crate) fn with(figures: &[(&'static Figure, f64)]) -> Self {
        let handle = Self::default();
        for (figure, value) in figures {
            handle.set(figure, *value);
        }
        handle
    }

    pub(crate) fn reporting() -> Self {
        Self(Arc::new(Inner {
            reports: true,
            ..Inner::default()
        }))
    }

    pub(crate) fn set(&self, figure: &'static Figure, value: f64) {
        let mut figures = self.0.figures.lock().unwrap();
        match figures.iter_mut().find(|(known, _)| known.is(figure)) {
            Some((_, known)) => *known = value,
            None => figures.push((figure, value)),
        }
    }

    pub(crate) fn set_text(&self, name: &'static str, text: &str) {
        let mut settings = self.0.settings.lock().unwrap();
        settings.retain(|(known, _)| *known != name);
        settings.push((name, text.to_owned()));
    }

    /// Reports a change to all callbacks, as a policy does.
    pub(crate) fn report(&self, change: &Change) {
        let callbacks = self.0.callbacks.lock().unwrap().clone();
        for callback in callbacks {
            callback(change);
        }
    }

    /// How many clones there are.
    pub(crate) fn clones(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl Figures for Handle {
    fn policy(&self) -> &'static str {
        "handle"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let figures = self.0.figures.lock().unwrap().clone();
        for (figure, value) in figures {
            each(figure, value);
        }
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        let settings = self.0.settings.lock().unwrap().clone();
        for (name, text) in settings {
            each(name, &text);
        }
    }

    fn on_change(&self, callback: Callback) {
        if self.0.reports {
            self.0.callbacks.lock().unwrap().push(callback);
        }
    }
}
