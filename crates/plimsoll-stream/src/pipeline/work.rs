//! What a stage does with its items.

use std::{
    future::{Future, Ready, ready},
    option,
};

use super::error::BoxError;

/// The function of a stage.
pub(crate) trait Work<In>: Send {
    type Out: Send;
    type Outputs: Iterator<Item = Self::Out> + Send;
    type Call: Future<Output = Result<Self::Outputs, BoxError>> + Send;

    /// Begins to work on an item.
    fn call(&mut self, item: In) -> Self::Call;

    /// Ends the work, after the last item and its outputs.
    fn end(self) -> Result<Option<Self::Outputs>, BoxError>;
}

/// A closure that returns a future for each item.
pub(crate) struct Calls<F>(pub(crate) F);

impl<In, F, Call, Outputs> Work<In> for Calls<F>
where
    F: FnMut(In) -> Call + Send,
    Call: Future<Output = Result<Outputs, BoxError>> + Send,
    Outputs: Iterator<Item: Send> + Send,
{
    type Out = Outputs::Item;
    type Outputs = Outputs;
    type Call = Call;

    fn call(&mut self, item: In) -> Call {
        (self.0)(item)
    }

    fn end(self) -> Result<Option<Outputs>, BoxError> {
        Ok(None)
    }
}

/// A state that takes up each item, and what is left of it at the end.
pub(crate) struct Fold<S, Step, End> {
    pub(crate) state: S,
    pub(crate) step: Step,
    pub(crate) end: End,
}

impl<In, Out, E, S, Step, End> Work<In> for Fold<S, Step, End>
where
    S: Send,
    Out: Send,
    E: Into<BoxError>,
    Step: FnMut(&mut S, In) -> Result<Option<Out>, E> + Send,
    End: FnOnce(S) -> Result<Option<Out>, E> + Send,
{
    type Out = Out;
    type Outputs = option::IntoIter<Out>;
    type Call = Ready<Result<Self::Outputs, BoxError>>;

    fn call(&mut self, item: In) -> Self::Call {
        let output = (self.step)(&mut self.state, item);
        ready(output.map(Option::into_iter).map_err(Into::into))
    }

    fn end(self) -> Result<Option<Self::Outputs>, BoxError> {
        let output = (self.end)(self.state).map_err(Into::into)?;
        Ok(Some(output.into_iter()))
    }
}
