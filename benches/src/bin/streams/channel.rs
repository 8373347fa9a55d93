//! What a contender of the async cases is: a bounded channel with one consumer.

use std::future::Future;

/// 32 bytes; the first word is the number of the item.
pub(crate) type Item = [u64; 4];

/// A bounded channel that waits for room.
pub(crate) trait Channel: 'static {
    /// The name in the table.
    const NAME: &'static str;
    type Tx: Tx;
    type Rx: Rx;
    fn open(capacity: usize) -> (Self::Tx, Self::Rx);
}

/// The side of a producer. The channel ends when all are dropped.
pub(crate) trait Tx: Clone + Send + 'static {
    fn send(&mut self, item: Item) -> impl Future<Output = ()> + Send;
}

/// The side of the consumer.
pub(crate) trait Rx: Send + 'static {
    fn recv(&mut self) -> impl Future<Output = Option<Item>> + Send;

    /// Receives to the end, and returns the number of items.
    fn count(mut self) -> impl Future<Output = u64> + Send
    where
        Self: Sized,
    {
        async move {
            let mut count = 0;
            while let Some(item) = self.recv().await {
                std::hint::black_box(item);
                count += 1;
            }
            count
        }
    }
}

/// Defines a contender from expressions.
macro_rules! channel {
    (
        $type:ident, $name:literal, ($tx:ty, $rx:ty), |$capacity:ident| $open:expr,
        |$sender:ident, $item:ident| $send:expr, |$receiver:ident| $recv:expr
        $(, |$batch_receiver:ident, $batch:ident| $many:expr)?
    ) => {
        pub(crate) mod $type {
            use super::{Channel, Item, Rx, Tx};

            pub(crate) struct Contender;
            pub(crate) struct Producer($tx);
            pub(crate) struct Consumer($rx);

            impl Clone for Producer {
                fn clone(&self) -> Self {
                    Self(self.0.clone())
                }
            }

            impl Channel for Contender {
                const NAME: &'static str = $name;
                type Tx = Producer;
                type Rx = Consumer;

                fn open($capacity: usize) -> (Producer, Consumer) {
                    let (tx, rx) = $open;
                    (Producer(tx), Consumer(rx))
                }
            }

            impl Tx for Producer {
                async fn send(&mut self, $item: Item) {
                    let $sender = &mut self.0;
                    _ = $send.await;
                }
            }

            impl Rx for Consumer {
                async fn recv(&mut self) -> Option<Item> {
                    let $receiver = &mut self.0;
                    $recv
                }

                $(async fn count(mut self) -> u64 {
                    let mut count = 0;
                    let mut batch = Vec::with_capacity(super::BATCH);
                    loop {
                        let ($batch_receiver, $batch) = (&mut self.0, &mut batch);
                        if $many == 0 {
                            return count;
                        }
                        for item in batch.drain(..) {
                            std::hint::black_box(item);
                            count += 1;
                        }
                    }
                })?
            }
        }
    };
}
pub(crate) use channel;

/// Items of one batch at most, for contenders that receive in batches.
pub(crate) const BATCH: usize = 256;
