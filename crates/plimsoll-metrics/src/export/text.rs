//! Families as text: OpenMetrics 1.0, and Prometheus' classic format 0.0.4.

use std::fmt::{self, Write};

use crate::families::{Family, FamilyKind, Labels, Sample, Value, float};

/// One of the two text formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0: families of counters without `_total`, units, an end marker.
    OpenMetrics,
    /// Prometheus 0.0.4: each family has the name of its samples.
    Classic,
}

/// Writes all families.
pub(crate) fn write(families: &[Family], format: Format) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(16 * 1024);
    for family in families {
        head(&mut text, family, format)?;
        for sample in &family.samples {
            body(&mut text, family, sample, format)?;
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    Ok(text)
}

fn head(text: &mut String, family: &Family, format: Format) -> fmt::Result {
    let suffix = match format {
        Format::Classic if family.kind == FamilyKind::Counter => "_total",
        _ => "",
    };
    let name = &family.name;
    write!(text, "# HELP {name}{suffix} ")?;
    escape(text, &family.help);
    writeln!(text, "\n# TYPE {name}{suffix} {}", family.kind.as_str())?;
    match family.unit {
        Some(unit) if format == Format::OpenMetrics => writeln!(text, "# UNIT {name} {unit}"),
        _ => Ok(()),
    }
}

fn body(text: &mut String, family: &Family, sample: &Sample, format: Format) -> fmt::Result {
    let (name, labels) = (&*family.name, &sample.labels);
    match &sample.value {
        Value::Count(count) => {
            series(text, name, "_total", labels, None);
            writeln!(text, "{count}")
        }
        Value::Number(value) => {
            let suffix = match family.kind {
                FamilyKind::Counter => "_total",
                _ => "",
            };
            series(text, name, suffix, labels, None);
            number(text, *value)
        }
        Value::Buckets {
            buckets,
            sum,
            traces,
        } => {
            let mut count = 0;
            for (at, (bound, more)) in buckets.iter().enumerate() {
                count += more;
                series(text, name, "_bucket", labels, Some(("le", *bound)));
                write!(text, "{count}")?;
                // The classic format has no exemplars: a parser would read them as a time.
                let traced = traces.iter().find(|traced| traced.bucket == at);
                if let (Some(traced), Format::OpenMetrics) = (traced, format) {
                    let (trace, value) = (&traced.trace, float(traced.value));
                    write!(text, " # {{trace_id=\"{trace}\"}} {value}")?;
                }
                text.push('\n');
            }
            totals(text, name, labels, count, *sum)
        }
        Value::Quantiles {
            quantiles,
            count,
            sum,
        } => {
            for (share, value) in quantiles {
                series(text, name, "", labels, Some(("quantile", *share)));
                number(text, *value)?;
            }
            totals(text, name, labels, *count, *sum)
        }
    }
}

fn totals(text: &mut String, name: &str, labels: &Labels, count: u64, sum: f64) -> fmt::Result {
    series(text, name, "_sum", labels, None);
    number(text, sum)?;
    series(text, name, "_count", labels, None);
    writeln!(text, "{count}")
}

/// Writes a name with its labels, and the space before the value.
fn series(text: &mut String, name: &str, suffix: &str, labels: &Labels, own: Option<(&str, f64)>) {
    text.extend([name, suffix]);
    let mut open = "{";
    for (label, value) in labels {
        text.extend([open, label, "=\""]);
        escape(text, value);
        text.push('"');
        open = ",";
    }
    if let Some((label, value)) = own {
        text.extend([open, label, "=\""]);
        text.push_str(&float(value));
        text.push('"');
        open = ",";
    }
    text.push_str(if open == "," { "} " } else { " " });
}

fn number(text: &mut String, value: f64) -> fmt::Result {
    writeln!(text, "{}", float(value))
}

/// Escapes what would end a value or its line.
fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(c),
        }
    }
}
