//! Which names of families can stand beside each other.

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Gauge,
    Counter,
    Histogram,
}

impl Kind {
    /// The suffixes that a strict parser reserves for a family of this type, whether its samples are
    /// written or not (OpenMetrics 1.0, "suffixes").
    const fn suffixes(self) -> &'static [&'static str] {
        match self {
            Self::Gauge => &[""],
            Self::Counter => &["", "_total", "_created"],
            Self::Histogram => &["", "_bucket", "_count", "_sum", "_created"],
        }
    }
}

/// Whether a strict parser rejects a text with both families: their names with their suffixes have
/// one name in common. `foo_created` clashes with the counter `foo`.
pub(crate) fn clash(one: (&str, Kind), other: (&str, Kind)) -> bool {
    let names = |(name, kind): (&str, Kind)| -> Vec<String> {
        let suffixes = kind.suffixes().iter();
        suffixes.map(|suffix| format!("{name}{suffix}")).collect()
    };
    let of_other = names(other);
    names(one).iter().any(|name| of_other.contains(name))
}

/// Families of this crate begin with this, and those of `plimsoll-stream` with the longer one: that
/// crate registers them like a program.
const OURS: &str = "plimsoll_";
const STREAM: &str = "plimsoll_stream_";

/// Whether a family of this name may be one of this crate, now or in a later version.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.starts_with(OURS) && !name.starts_with(STREAM)
}
