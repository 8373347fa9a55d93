//! Reads lines of the common and the combined log format.

use super::{row::Row, time};

/// Reads `client ident user [time] "request" status bytes …`.
pub(super) fn row(line: &str) -> Option<Row> {
    let (client, rest) = line.trim_start().split_once(' ')?;
    let (_, rest) = rest.split_once('[')?;
    let (stamp, rest) = rest.split_once(']')?;
    rest.trim_start().strip_prefix('"')?;
    Some(Row {
        at: time::access_log(stamp)?,
        client: Some(client.to_owned()),
        cost: 1.0,
    })
}
