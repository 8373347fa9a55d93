//! Readings that are taken when the registry is scraped: gauges, counters, histograms, states.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use crate::{
    Distribution, InvalidMetric,
    families::{Kind, clash, is_reserved},
};

/// Bound of series: enough for a few hundred policies; more indicates a label with unbounded
/// values.
const MAX_SERIES: usize = 1024;
const MAX_LABELS: usize = 8;
const MAX_STATES: usize = 16;

/// How a series is read.
pub(crate) enum Read {
    Gauge(Box<dyn Fn() -> f64 + Send + Sync>),
    Counter(Box<dyn Fn() -> u64 + Send + Sync>),
    Histogram(Box<[f64]>, Box<dyn Fn() -> Distribution + Send + Sync>),
    State(
        &'static [&'static str],
        Box<dyn Fn() -> &'static str + Send + Sync>,
    ),
}

impl Read {
    const fn kind(&self) -> Kind {
        match self {
            Self::Gauge(_) | Self::State(..) => Kind::Gauge,
            Self::Counter(_) => Kind::Counter,
            Self::Histogram(..) => Kind::Histogram,
        }
    }

    /// The label that the readings write themselves.
    const fn own_label(&self) -> Option<&'static str> {
        match self {
            Self::Gauge(_) | Self::Counter(_) => None,
            Self::Histogram(..) => Some("le"),
            Self::State(..) => Some("state"),
        }
    }

    /// The number of series that it exports.
    const fn width(&self) -> usize {
        match self {
            Self::Gauge(_) | Self::Counter(_) => 1,
            // Each bucket, the one without a bound, the sum and the count.
            Self::Histogram(bounds, _) => bounds.len() + 3,
            Self::State(states, _) => states.len(),
        }
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gauge(_) => "Gauge",
            Self::Counter(_) => "Counter",
            Self::Histogram(..) => "Histogram",
            Self::State(..) => "State",
        })
    }
}

/// Labels of one series, sorted by name.
pub(crate) type Labels = Vec<(&'static str, String)>;

#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) read: Read,
}

/// All series of one name.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    /// Without the `_total` of counters, as OpenMetrics names the family.
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) kind: Kind,
    pub(crate) series: Vec<Arc<Series>>,
}

/// The pulled families. A scrape copies the list, so that readings run outside of the lock: a slow
/// reading blocks no registration, and a reading that registers a metric does not deadlock.
#[derive(Debug, Default)]
pub(crate) struct Pulled(RwLock<Arc<Vec<Family>>>);

impl Pulled {
    pub(crate) fn families(&self) -> Arc<Vec<Family>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn add(
        &self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str)],
        read: Read,
    ) -> Result<(), InvalidMetric> {
        let base = check_name(name, read.kind())?;
        if !is_help(help) {
            return Err(InvalidMetric::Help {
                name: name.to_owned(),
            });
        }
        let labels = check_labels(name, labels, &read)?;

        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = families.iter().flat_map(|family| &family.series);
        if known.map(|series| series.read.width()).sum::<usize>() + read.width() > MAX_SERIES {
            return Err(InvalidMetric::Full {
                what: "pulled series",
                max: MAX_SERIES,
            });
        }
        let families = Arc::make_mut(&mut families);
        let kind = read.kind();
        let clashes = |family: &&Family| {
            family.name != base && clash((&family.name, family.kind), (base, kind))
        };
        if families.iter().any(|family| clashes(&family)) {
            return Err(InvalidMetric::Conflict {
                name: name.to_owned(),
            });
        }
        let series = Arc::new(Series { labels, read });
        match families.iter_mut().find(|family| family.name == base) {
            Some(family) if family.kind != kind || family.help != help => {
                Err(InvalidMetric::Conflict {
                    name: name.to_owned(),
                })
            }
            // Gauges and states of one name have different labels: a conflict.
            Some(family) if !family.series.iter().all(|known| alike(known, &series)) => {
                Err(InvalidMetric::Conflict {
                    name: name.to_owned(),
                })
            }
            Some(family)
                if family
                    .series
                    .iter()
                    .any(|known| known.labels == series.labels) =>
            {
                Err(InvalidMetric::Duplicate {
                    name: name.to_owned(),
                })
            }
            Some(family) => {
                family.series.push(series);
                Ok(())
            }
            None => {
                let (name, help) = (base.to_owned(), help.to_owned());
                families.push(Family {
                    name,
                    help,
                    kind,
                    series: vec![series],
                });
                Ok(())
            }
        }
    }
}

/// Whether two series fit in one family: the same type of reading, so that sums over the family are
/// meaningful.
fn alike(a: &Series, b: &Series) -> bool {
    std::mem::discriminant(&a.read) == std::mem::discriminant(&b.read)
}

/// Runs a user's reading; `None` when it panics.
///
/// The panic is contained: one broken gauge must not hide the others from an operator. The panic
/// hook has reported it.
pub(crate) fn attempt<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// The family's name, if `name` is valid.
fn check_name(name: &str, kind: Kind) -> Result<&str, InvalidMetric> {
    let owned = || name.to_owned();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    let digit = name
        .bytes()
        .next()
        .is_none_or(|first| first.is_ascii_digit());
    if digit || name.len() > 128 || !name.bytes().all(good) {
        return Err(InvalidMetric::Name { name: owned() });
    }
    let base = match (name.strip_suffix("_total"), kind == Kind::Counter) {
        (Some(base), true) if !base.is_empty() => base,
        (None, false) => name,
        _ => return Err(InvalidMetric::Suffix { name: owned() }),
    };
    if is_reserved(base) {
        return Err(InvalidMetric::Reserved { name: owned() });
    }
    Ok(base)
}

fn is_help(help: &str) -> bool {
    let breaks = |c: char| c.is_control() || c == '"' || c == '\\';
    !help.is_empty() && help.len() <= 512 && !help.contains(breaks)
}

fn check_labels(
    name: &str,
    labels: &[(&'static str, &str)],
    read: &Read,
) -> Result<Labels, InvalidMetric> {
    let bad = |label: &str| InvalidMetric::Label {
        name: name.to_owned(),
        label: label.to_owned(),
    };
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut sorted = Labels::new();
    for (label, value) in labels {
        let digit = label
            .bytes()
            .next()
            .is_none_or(|first| first.is_ascii_digit());
        let reserved = label.starts_with("__") || read.own_label() == Some(*label);
        if digit || reserved || label.len() > 64 || !label.bytes().all(good) || value.len() > 128 {
            return Err(bad(label));
        }
        let Err(at) = sorted.binary_search_by_key(label, |(name, _)| name) else {
            return Err(bad(label));
        };
        if sorted.len() == MAX_LABELS {
            return Err(bad(label));
        }
        sorted.insert(at, (*label, (*value).to_owned()));
    }
    if let Read::State(states, _) = read {
        let twice = |i: usize| states[..i].contains(&states[i]);
        if states.is_empty() || states.len() > MAX_STATES || (0..states.len()).any(twice) {
            return Err(InvalidMetric::States {
                name: name.to_owned(),
            });
        }
    }
    Ok(sorted)
}
