//! An independent, strict reader of the two text formats. It shares no code with the writer.

use std::collections::{BTreeMap, BTreeSet};

/// Series as `name{label="value",…}`, labels sorted, with their values.
pub(crate) type Samples = BTreeMap<String, f64>;

#[derive(Clone, Copy, PartialEq)]
enum Format {
    OpenMetrics,
    Classic,
}

/// Reads OpenMetrics 1.0.
#[track_caller]
pub(crate) fn openmetrics(text: &str) -> Samples {
    let body = text
        .strip_suffix("# EOF\n")
        .expect("OpenMetrics ends with `# EOF`");
    assert!(
        !body.lines().any(|line| line == "# EOF"),
        "`# EOF` stands at the end only"
    );
    read(body, Format::OpenMetrics)
}

/// Reads the classic text format, version 0.0.4.
#[track_caller]
pub(crate) fn classic(text: &str) -> Samples {
    read(text, Format::Classic)
}

#[track_caller]
fn read(text: &str, format: Format) -> Samples {
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line ends"
    );
    let mut samples = Samples::new();
    let mut families = BTreeSet::new();
    let mut family: Option<Family> = None;
    let mut help = None;
    for line in text.lines() {
        assert!(
            !line.is_empty() && line.trim() == line,
            "stray space: {line:?}"
        );
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').expect("HELP has a name and a text");
            assert!(!words.is_empty(), "empty help: {line:?}");
            help = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("TYPE has a name and a type");
            assert!(is_name(name), "{name:?}");
            assert_eq!(
                help.take().as_deref(),
                Some(name),
                "HELP stands before its TYPE"
            );
            assert!(
                families.insert(name.to_owned()),
                "the family {name} is there twice"
            );
            assert!(
                ["counter", "gauge", "histogram"].contains(&kind),
                "{line:?}"
            );
            finish(family.replace(Family::new(name, kind, format)), &samples);
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').expect("UNIT has a name and a unit");
            assert!(
                format == Format::OpenMetrics,
                "no UNIT in the classic format"
            );
            assert_eq!(
                family.as_ref().map(|family| &*family.name),
                Some(name),
                "UNIT follows TYPE"
            );
            assert!(
                name.ends_with(&format!("_{unit}")),
                "{name} does not end in its unit {unit}"
            );
        } else {
            assert!(!line.starts_with('#'), "unknown comment {line:?}");
            let (name, labels, value) = sample(line);
            let family = family.as_mut().expect("a sample stands below its family");
            family.own(&name, &labels, value);
            let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
            let series = format!("{name}{{{}}}", labels.join(","));
            assert!(
                samples.insert(series.clone(), value).is_none(),
                "{series} is there twice"
            );
        }
    }
    finish(family, &samples);
    assert!(help.is_none(), "a HELP without a TYPE");
    samples
}

struct Family {
    name: String,
    kind: String,
    format: Format,
    /// Per set of labels without `le`: bounds and cumulative counts in the order of the text.
    buckets: BTreeMap<BTreeMap<String, String>, Vec<(f64, f64)>>,
    counts: BTreeMap<BTreeMap<String, String>, f64>,
}

impl Family {
    fn new(name: &str, kind: &str, format: Format) -> Self {
        let (buckets, counts) = Default::default();
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format,
            buckets,
            counts,
        }
    }

    #[track_caller]
    fn own(&mut self, sample: &str, labels: &BTreeMap<String, String>, value: f64) {
        let suffix = sample.strip_prefix(&*self.name);
        match (&*self.kind, suffix, self.format) {
            ("gauge", Some(""), _) => {}
            ("counter", Some("_total"), Format::OpenMetrics)
            | ("counter", Some(""), Format::Classic) => {
                assert!(sample.ends_with("_total"), "{sample}");
                assert!(value >= 0.0 && value.is_finite(), "{sample} is {value}");
            }
            ("histogram", Some("_sum"), _) => assert!(value >= 0.0, "{sample} is {value}"),
            ("histogram", Some("_count"), _) => {
                self.counts.insert(labels.clone(), value);
            }
            ("histogram", Some("_bucket"), _) => {
                let mut labels = labels.clone();
                let bound = labels.remove("le").expect("a bucket has a bound");
                let bound = if bound == "+Inf" {
                    f64::INFINITY
                } else {
                    bound.parse().unwrap()
                };
                self.buckets.entry(labels).or_default().push((bound, value));
            }
            _ => panic!(
                "{sample} does not belong to the {} {}",
                self.kind, self.name
            ),
        }
    }
}

#[track_caller]
fn finish(family: Option<Family>, _: &Samples) {
    let Some(family) = family else { return };
    assert_eq!(family.buckets.len(), family.counts.len(), "{}", family.name);
    for (labels, buckets) in &family.buckets {
        let rising = |pair: &[(f64, f64)]| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1;
        assert!(
            buckets.windows(2).all(rising),
            "{} {labels:?}: {buckets:?}",
            family.name
        );
        let last = buckets.last().unwrap();
        assert_eq!(
            *last,
            (f64::INFINITY, family.counts[labels]),
            "{}",
            family.name
        );
    }
}

/// `name{label="value",…} number`
#[track_caller]
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let end = line.find(['{', ' ']).expect("a sample has a value");
    let (name, mut rest) = line.split_at(end);
    assert!(is_name(name), "{name:?}");
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, tail) = rest.split_once("=\"").expect("a label has a quoted value");
            assert!(
                is_name(label) && !label.contains(':'),
                "{label:?} in {line:?}"
            );
            let (value, tail) = quoted(tail);
            assert!(
                labels.insert(label.to_owned(), value).is_none(),
                "{label} twice in {line:?}"
            );
            rest = match tail.strip_prefix(',') {
                Some(more) => {
                    assert!(!more.starts_with('}'), "trailing comma in {line:?}");
                    more
                }
                None => tail,
            };
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect("one space before the value");
    let value = match value {
        "NaN" => f64::NAN,
        "inf" | "+Inf" => f64::INFINITY,
        "-inf" | "-Inf" => f64::NEG_INFINITY,
        number => number
            .parse()
            .unwrap_or_else(|_| panic!("not a number in {line:?}")),
    };
    (name.to_owned(), labels, value)
}

/// A value up to its closing quote, unescaped, and the rest of the text.
#[track_caller]
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                other => panic!("unknown escape {other:?}"),
            },
            c => value.push(c),
        }
    }
    panic!("no closing quote in {text:?}")
}

fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !name.is_empty() && name.chars().all(good) && !name.starts_with(|c: char| c.is_ascii_digit())
}
