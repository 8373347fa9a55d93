//! The answer to a question.

use crate::{failed::Failed, script::Reply};

/// The reply of Redis, or the reason for its absence.
pub(crate) type Answer = Result<Reply, Failed>;
