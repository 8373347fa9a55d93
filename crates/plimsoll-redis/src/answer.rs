//! The answer to a question.

use crate::{failed::Failed, script::Reply};

/// The reply of Redis, or why there is none.
pub(crate) type Answer = Result<Reply, Failed>;
