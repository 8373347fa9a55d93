//! One stage, before it is part of a pipeline.

use std::{fmt, future::Future, iter, pin::Pin};

use super::{
    driver,
    error::BoxError,
    feed::Feed,
    work::{Calls, Fold, Work},
};

/// The capacity of a buffer whose stage does not set it, in items.
///
/// Each poll of the pipeline moves up to a buffer of items per stage, so 64 spread its cost well;
/// more adds to what is in memory and in doubt after an abort.
/// `stages_have_defaults` fails when it differs from the docs.
pub(crate) const DEFAULT_BUFFER: usize = 64;

/// What moves items through a stage.
pub(crate) type Drive<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

type Build<'a, In, Out> = Box<dyn FnOnce(Settings, Feed<In>, Feed<Out>) -> Drive<'a> + Send + 'a>;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) concurrency: usize,
    pub(crate) ordered: bool,
    pub(crate) buffer: usize,
}

/// One stage of a [`Pipeline`](crate::Pipeline): a function, and how it is run.
///
/// | setting | default |
/// |---|---|
/// | [`concurrency`](Self::concurrency) | 1 item at a time |
/// | [`ordered`](Self::ordered), [`unordered`](Self::unordered) | ordered |
/// | [`buffer`](Self::buffer) | 64 items in front of the stage |
///
/// State the type of the item in the closure (`|line: String| ...`): the compiler cannot infer it
/// when a setting follows.
#[must_use = "a stage does nothing until it is part of a pipeline"]
pub struct Stage<'a, In, Out> {
    pub(crate) settings: Settings,
    pub(crate) build: Build<'a, In, Out>,
}

impl<'a, In: Send + 'a, Out: Send + 'a> Stage<'a, In, Out> {
    /// A stage that makes one output of each item. Its function is async and may fail.
    ///
    /// The first error ends the pipeline; see [`PipelineError`](crate::PipelineError).
    pub fn new<F, Call, E>(mut f: F) -> Self
    where
        F: FnMut(In) -> Call + Send + 'a,
        Call: Future<Output = Result<Out, E>> + Send + 'a,
        E: Into<BoxError>,
    {
        Self::with(Calls(move |item| {
            let call = f(item);
            async move { call.await.map(iter::once).map_err(Into::into) }
        }))
    }

    /// A stage that makes any number of outputs of each item: an `Option`, an array, a `Vec`.
    ///
    /// An item counts as in flight until its last output has room in the next buffer.
    pub fn flat_map<F, Call, E, I>(mut f: F) -> Self
    where
        F: FnMut(In) -> Call + Send + 'a,
        Call: Future<Output = Result<I, E>> + Send + 'a,
        E: Into<BoxError>,
        I: IntoIterator<Item = Out>,
        I::IntoIter: Send + 'a,
    {
        Self::with(Calls(move |item| {
            let call = f(item);
            async move { call.await.map(I::into_iter).map_err(Into::into) }
        }))
    }

    /// A stage that makes one output of each item, with a function that does not wait.
    pub fn map<F: FnMut(In) -> Out + Send + 'a>(mut f: F) -> Self {
        Self::with(Calls(move |item| {
            std::future::ready(Ok(iter::once(f(item))))
        }))
    }

    /// A stage that takes up items in a state, with an output now and then: an aggregation.
    ///
    /// `step` is called for each item in the order of the input. `end` is called after the last item
    /// (also after a [drain](crate::PipelineHandle::drain)) with the state, for what is left in it.
    pub fn fold<S, Step, End, E>(state: S, step: Step, end: End) -> Self
    where
        S: Send + 'a,
        Step: FnMut(&mut S, In) -> Result<Option<Out>, E> + Send + 'a,
        End: FnOnce(S) -> Result<Option<Out>, E> + Send + 'a,
        E: Into<BoxError>,
    {
        Self::with(Fold { state, step, end })
    }

    fn with<W: Work<In, Out = Out> + 'a>(work: W) -> Self {
        Self {
            settings: Settings {
                concurrency: 1,
                ordered: true,
                buffer: DEFAULT_BUFFER,
            },
            build: Box::new(move |settings, from, to| {
                let Settings {
                    concurrency,
                    ordered,
                    ..
                } = settings;
                Box::pin(driver::drive(work, concurrency, ordered, from, to))
            }),
        }
    }
}

impl<In, Out> Stage<'_, In, Out> {
    /// Sets how many items the stage works on at a time: at least 1.
    ///
    /// An item counts until its outputs have room in the next buffer. All of them are polled by the
    /// one task of the pipeline; see there for work that needs several cores.
    pub const fn concurrency(mut self, items: usize) -> Self {
        self.settings.concurrency = items;
        self
    }

    /// Sends outputs in the order of the items: an item that is done waits for those before it.
    pub const fn ordered(mut self) -> Self {
        self.settings.ordered = true;
        self
    }

    /// Sends outputs as soon as they are there.
    pub const fn unordered(mut self) -> Self {
        self.settings.ordered = false;
        self
    }

    /// Sets the capacity of the buffer in front of the stage, in items: at least 1.
    pub const fn buffer(mut self, items: usize) -> Self {
        self.settings.buffer = items;
        self
    }
}

impl<In, Out> fmt::Debug for Stage<'_, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
