//! A pipeline as its users build it.

use std::{fmt, future::Future, sync::Arc};

use futures_core::Stream;
use futures_sink::Sink;

use super::{
    control::Control,
    error::{BoxError, InvalidPipeline},
    feed::Feed,
    metrics::Row,
    run::PipelineRun,
    sink, source,
    stage::{DEFAULT_BUFFER, Drive, Settings, Stage},
};
use crate::{BoundedQueue, QueuePolicy};

/// Makes the driver of the last stage so far, once the buffer behind it is known.
type Tail<'a, T> = Box<dyn FnOnce(Feed<T>) -> Drive<'a> + Send + 'a>;

/// The names of the ends.
const SOURCE: &str = "source";
const SINK: &str = "sink";

/// A source, stages and a sink, joined by bounded buffers, in the making.
///
/// `T` is what the last stage so far yields, and `'a` what its functions borrow.
///
/// ```
/// use futures_util::stream;
/// use plimsoll_stream::{Pipeline, PipelineEnd, Stage};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lines = stream::iter(["1", "2", "x", "4"]);
/// let mut sums = Vec::new();
/// let run = Pipeline::from(lines)
///     // Lines that are no numbers are left out.
///     .stage("parse", Stage::flat_map(|line: &str| async move {
///         Ok::<_, std::io::Error>(line.parse::<u32>().ok())
///     }))
///     // As if another service were asked: up to eight requests at a time.
///     .stage("square", Stage::new(|n: u32| async move {
///         n.checked_mul(n).ok_or("too large")
///     }).concurrency(8).buffer(16))
///     .for_each(|square| {
///         sums.push(square);
///         async { Ok::<_, std::io::Error>(()) }
///     })?;
/// let handle = run.handle();
/// assert_eq!(run.await?, PipelineEnd::Completed);
/// assert_eq!(handle.stage("parse").map(|parse| (parse.received, parse.sent)), Some((4, 3)));
/// assert_eq!(sums, [1, 4, 16]);
/// # Ok(()) }
/// ```
///
/// # Pressure
///
/// A stage takes an item only when it has a free place, and keeps the place until the output has
/// room in the next buffer. So a slow stage fills the buffers before it, one after the other, and
/// the source is polled only when the first buffer has room. At no time are there more items than
/// the sum of all buffers and all concurrencies, and one in the sink.
///
/// # Concurrency
///
/// Nothing is spawned: the pipeline is one future, to be awaited or spawned. All stages run on the
/// task that polls it, at the same time as far as they wait: for sockets, timers, other tasks. Work
/// that computes uses one core. For more, let a stage spawn it and await the result:
/// `Stage::new(|image| tokio::task::spawn_blocking(|| shrink(image))).concurrency(4)`. The stage
/// function must not block.
///
/// # Shutdown
///
/// | end | effect |
/// |---|---|
/// | the source ends | all of its items reach the sink |
/// | [`drain`](crate::PipelineHandle::drain) | the source is dropped; all that it has yielded reaches the sink |
/// | [`abort`](crate::PipelineHandle::abort) | everything stops at once; what is thrown away is counted |
/// | an error or a panic of a stage | as an abort, with an error that names the stage |
/// | the future is dropped | as an abort |
///
/// Tasks that a stage has spawned are the stage's: an abort drops their handles.
#[must_use = "a pipeline does nothing until its run is polled"]
pub struct Pipeline<'a, T> {
    tail: Result<Tail<'a, T>, InvalidPipeline>,
    drivers: Vec<Drive<'a>>,
    rows: Vec<Arc<Row>>,
    control: Arc<Control>,
    sink_buffer: usize,
}

impl<'a, T: Send + 'a> Pipeline<'a, T> {
    /// A pipeline that begins with the items of a stream.
    pub fn from<S: Stream<Item = T> + Send + 'a>(source: S) -> Self {
        let row = Arc::new(Row::new(SOURCE, 1, true, 0));
        let control = Arc::new(Control::new());
        let (of, by) = (Arc::clone(&row), Arc::clone(&control));
        Self {
            tail: Ok(Box::new(move |to| {
                Box::pin(source::drive(source, to, of, by))
            })),
            drivers: Vec::new(),
            rows: vec![row],
            control,
            sink_buffer: DEFAULT_BUFFER,
        }
    }

    /// Adds a stage, with a name for errors and metrics.
    ///
    /// Settings out of bounds are reported by the method that ends the pipeline.
    pub fn stage<'s: 'a, Out: Send + 'a>(
        self,
        name: &'static str,
        stage: Stage<'s, T, Out>,
    ) -> Pipeline<'a, Out> {
        let Settings {
            concurrency,
            ordered,
            buffer,
        } = stage.settings;
        let row = Arc::new(Row::new(name, concurrency, ordered, buffer));
        let taken = self.rows.iter().any(|row| row.name() == name);
        let invalid = if name.is_empty() || name == SINK || taken {
            Some(InvalidPipeline::Name { stage: name })
        } else if concurrency == 0 {
            Some(InvalidPipeline::Concurrency { stage: name })
        } else {
            None
        };
        let Self {
            tail,
            mut drivers,
            mut rows,
            control,
            sink_buffer,
        } = self;
        rows.push(Arc::clone(&row));
        let tail = tail.and_then(|tail| {
            invalid.map_or(Ok(()), Err)?;
            let queue = buffer_of(name, buffer)?;
            let (to, from) = both_ends(queue, row);
            drivers.push(tail(to));
            let next: Tail<'a, Out> = Box::new(move |to| (stage.build)(stage.settings, from, to));
            Ok(next)
        });
        Pipeline {
            tail,
            drivers,
            rows,
            control,
            sink_buffer,
        }
    }

    /// Sets the capacity of the buffer in front of the sink, in items: at least 1. Default: 64.
    pub const fn sink_buffer(mut self, items: usize) -> Self {
        self.sink_buffer = items;
        self
    }

    /// Ends the pipeline with a sink, which is closed after the last item.
    ///
    /// The sink gets an item when it is ready. It is flushed when there is no item for now. An item
    /// counts as done when the sink is ready for the next one.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn run<K>(self, sink: K) -> Result<PipelineRun<'a>, InvalidPipeline>
    where
        K: Sink<T> + Send + 'a,
        K::Error: Into<BoxError>,
    {
        self.end(|from| Box::pin(sink::drive(sink, from)))
    }

    /// Ends the pipeline with an async function, called for one item after the other.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn for_each<F, Call, E>(self, each: F) -> Result<PipelineRun<'a>, InvalidPipeline>
    where
        F: FnMut(T) -> Call + Send + 'a,
        Call: Future<Output = Result<(), E>> + Send + 'a,
        E: Into<BoxError> + Send + 'a,
    {
        self.end(|from| Box::pin(sink::drive_each(each, from)))
    }

    fn end(
        mut self,
        sink: impl FnOnce(Feed<T>) -> Drive<'a>,
    ) -> Result<PipelineRun<'a>, InvalidPipeline> {
        let tail = self.tail?;
        let queue = buffer_of(SINK, self.sink_buffer)?;
        let row = Arc::new(Row::new(SINK, 1, true, self.sink_buffer));
        self.rows.push(Arc::clone(&row));
        let (to, from) = both_ends(queue, row);
        self.drivers.push(tail(to));
        self.drivers.push(sink(from));
        Ok(PipelineRun::new(self.drivers, self.rows, self.control))
    }
}

fn buffer_of<T>(stage: &'static str, items: usize) -> Result<BoundedQueue<T>, InvalidPipeline> {
    // The only setting is the capacity.
    BoundedQueue::new(items, QueuePolicy::BLOCK).map_err(|_| InvalidPipeline::Buffer { stage })
}

fn both_ends<T>(queue: BoundedQueue<T>, row: Arc<Row>) -> (Feed<T>, Feed<T>) {
    let to = Feed {
        queue: queue.clone(),
        row: Arc::clone(&row),
    };
    (to, Feed { queue, row })
}

impl<T> fmt::Debug for Pipeline<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.rows.iter().map(|row| row.name()).collect();
        f.debug_struct("Pipeline")
            .field("stages", &names)
            .finish_non_exhaustive()
    }
}
