//! Reads comma-separated values with a header.

use super::{row::Row, time};

/// The columns of a file.
#[derive(Debug)]
pub(super) struct Columns {
    timestamp: usize,
    /// Number of columns.
    count: usize,
}

impl Columns {
    /// Reads a header: the first column with `time` or `date` in its name is the timestamp.
    pub(super) fn of_header(line: &str) -> Option<Self> {
        let names: Vec<String> = fields(line).map(str::to_ascii_lowercase).collect();
        // A line of a log can contain these words, too, but not in a field of plain characters.
        let bare = |name: &str| {
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || "_- ".contains(c))
        };
        let timestamp = names
            .iter()
            .position(|name| name.contains("time") || name.contains("date"))?;
        bare(&names[timestamp]).then_some(Self {
            timestamp,
            count: names.len(),
        })
    }

    /// Reads a row. Its cost is the sum of all columns except the timestamp.
    pub(super) fn row(&self, line: &str) -> Option<Row> {
        let mut at = None;
        let mut costs = None;
        let mut count = 0;
        for (column, field) in fields(line).enumerate() {
            count += 1;
            if column == self.timestamp {
                at = Some(time::timestamp(field)?);
            } else {
                let cost = field
                    .parse::<f64>()
                    .ok()
                    .filter(|cost| cost.is_finite() && *cost >= 0.0)?;
                *costs.get_or_insert(0.0) += cost;
            }
        }
        (count == self.count).then_some(Row {
            at: at?,
            client: None,
            cost: costs.unwrap_or(1.0),
        })
    }
}

fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|field| field.trim().trim_matches('"'))
}
