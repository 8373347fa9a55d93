//! What is read of a line, whatever its format.

/// One line of a recording.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Seconds since 1970, or since the recording's own origin.
    pub(super) at: f64,
    /// The client's address, if the recording has one.
    pub(super) client: Option<String>,
    /// Its cost in the recording's unit; 1 if the recording has none.
    pub(super) cost: f64,
}
