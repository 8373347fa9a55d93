//! What moves items from the source to the first buffer.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
};

use futures_core::Stream;

use super::{
    control::Control,
    error::BoxError,
    feed::{Feed, Outlet},
    metrics::Row,
};

/// Polls the source while there is room in the first buffer, until it ends or a drain stops it.
pub(crate) async fn drive<S: Stream>(
    source: S,
    to: Feed<S::Item>,
    row: Arc<Row>,
    control: Arc<Control>,
) -> Result<(), BoxError> {
    {
        let mut source = pin!(source);
        let mut outlet = Outlet::new(&to);
        poll_fn(|cx| {
            loop {
                if control.is_draining() {
                    control.cut();
                    return Poll::Ready(Ok(()));
                }
                // Before the source is polled, so that no item waits outside of the buffers.
                ready!(outlet.poll_room(cx))?;
                let Some(item) = ready!(source.as_mut().poll_next(cx)) else {
                    return Poll::Ready(Ok::<_, BoxError>(()));
                };
                outlet.send(item);
                row.send();
            }
        })
        .await?;
    }
    to.queue.close();
    Ok(())
}
