//! What moves items from the last buffer to the sink.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Poll, ready},
};

use futures_core::Stream;
use futures_sink::Sink;

use super::{error::BoxError, feed::Feed, metrics::Row};
use crate::clock;

/// Sends all items to a sink, and closes it.
pub(crate) async fn drive<T, K>(sink: K, from: Feed<T>) -> Result<(), BoxError>
where
    K: Sink<T>,
    K::Error: Into<BoxError>,
{
    let row = &from.row;
    let mut items = from.queue.items();
    let mut sink = pin!(sink);
    // When the sink got an item that it is busy with.
    let mut since = None;
    poll_fn(|cx| {
        loop {
            ready!(sink.as_mut().poll_ready(cx)).map_err(Into::into)?;
            done(row, &mut since);
            match Pin::new(&mut items).poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    row.receive();
                    since = Some(clock::now());
                    let sent = sink.as_mut().start_send(item);
                    // Counted as failed by the pipeline if this is an error.
                    sent.map_err(Into::into)?;
                }
                Poll::Ready(None) => return Poll::Ready(Ok::<_, BoxError>(())),
                Poll::Pending => {
                    ready!(sink.as_mut().poll_flush(cx)).map_err(Into::into)?;
                    return Poll::Pending;
                }
            }
        }
    })
    .await?;
    poll_fn(|cx| sink.as_mut().poll_close(cx))
        .await
        .map_err(Into::into)
}

/// The sink is ready for the next item, so it has done the last one.
fn done(row: &Arc<Row>, since: &mut Option<plimsoll_core::Instant>) {
    if let Some(since) = since.take() {
        row.work(clock::now().saturating_duration_since(since));
        row.send();
        row.release();
    }
}

/// Calls a function for each item, one after the other.
pub(crate) async fn drive_each<T, F, Call, E>(mut each: F, from: Feed<T>) -> Result<(), BoxError>
where
    F: FnMut(T) -> Call,
    Call: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    let row = &from.row;
    while let Some(item) = from.queue.recv().await {
        row.receive();
        let since = clock::now();
        let done = each(item).await;
        row.work(clock::now().saturating_duration_since(since));
        done.map_err(Into::into)?;
        row.send();
        row.release();
    }
    Ok(())
}
