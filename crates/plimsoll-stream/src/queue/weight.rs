//! The weight of an item in bytes.

use std::{borrow::Cow, rc::Rc, sync::Arc};

/// The weight of an item, in bytes, against the bound in bytes of a queue.
///
/// Implemented for strings, byte vectors and slices, and through `Box`, `Arc`, `Option` and tuples of two.
/// For other types pass a closure to
/// [`max_bytes_by`](crate::BoundedQueueBuilder::max_bytes_by).
///
/// ```
/// use plimsoll_stream::Weight;
///
/// struct Event { id: u64, body: String }
/// impl Weight for Event {
///     fn weight(&self) -> usize {
///         size_of::<Self>() + self.body.len()
///     }
/// }
/// assert_eq!("four".weight(), 4);
/// assert_eq!(Event { id: 1, body: "four".to_owned() }.weight(), 36);
/// ```
pub trait Weight {
    /// Returns the weight in bytes.
    ///
    /// It is called once per send, in the sender's task and outside of the queue's lock.
    fn weight(&self) -> usize;
}

impl Weight for str {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Weight for String {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Weight for [u8] {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl<const N: usize> Weight for [u8; N] {
    fn weight(&self) -> usize {
        N
    }
}

impl Weight for Vec<u8> {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl<W: Weight + ToOwned + ?Sized> Weight for Cow<'_, W> {
    fn weight(&self) -> usize {
        (**self).weight()
    }
}

impl<W: Weight> Weight for Option<W> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, Weight::weight)
    }
}

impl<A: Weight, B: Weight> Weight for (A, B) {
    fn weight(&self) -> usize {
        self.0.weight().saturating_add(self.1.weight())
    }
}

macro_rules! through {
    ($($pointer:ty),*) => {$(
        impl<W: Weight + ?Sized> Weight for $pointer {
            fn weight(&self) -> usize {
                (**self).weight()
            }
        }
    )*};
}
through!(&W, Box<W>, Arc<W>, Rc<W>);
