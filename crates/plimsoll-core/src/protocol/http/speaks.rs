//! Protocols that are `Http`, or wrap it.

use super::settings::Http;
use crate::Classify;

/// A protocol that is [`Http`], or wraps it.
pub trait SpeaksHttp: Send + Sync + 'static {
    /// The classifier of its answers.
    type Classifier: Classify;
    /// Returns the HTTP settings in use.
    fn http(&self) -> &Http<Self::Classifier>;
}

impl<C: Classify> SpeaksHttp for Http<C> {
    type Classifier = C;

    #[inline]
    fn http(&self) -> &Self {
        self
    }
}
