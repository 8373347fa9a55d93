//! Answers whose head, and if needed whose trailers, are read before the caller receives them.

mod body;
mod peek;
mod read;

pub use self::{
    body::AnswerBody,
    peek::HttpPeek,
    read::{PeekAnswer, ReadAnswer},
};
