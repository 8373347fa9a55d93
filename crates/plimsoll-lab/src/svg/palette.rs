//! The colours of contenders: one each for a few, and a colour only for the best of many.

use crate::score::Row;

/// The most contenders of a chart that all have a colour, as many as there are colours.
const COLOURS: usize = 8;
/// The class of the contenders without a colour of their own.
pub(super) const DIM: usize = COLOURS;
/// Contenders that have the same colour in all charts: Plimsoll's, those tuned by hand, and no
/// protection.
const FIXED: [&str; 4] = ["adaptive", "fixed", "tower-tuned", "none"];
/// Contenders that have a colour in charts of many, whatever they score.
const FIXED_OF_MANY: [&str; 2] = ["adaptive", "none"];
/// How many of many contenders have a colour besides `adaptive` and `none`.
const BEST: usize = 3;

/// The contenders of a chart with the indices of their colours, in the order of drawing: dimmed
/// ones first, `adaptive` last, on top.
pub(super) struct Palette {
    contenders: Vec<(String, usize)>,
    /// What the colours mean, when some contenders are dimmed.
    pub(super) about: Option<String>,
}

impl Palette {
    /// Assigns the colours. With more than [`COLOURS`] contenders, `adaptive`, `none` and the
    /// [`BEST`] others by their worst score have one.
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for row in rows {
            if !names.contains(&row.contender.as_str()) {
                names.push(&row.contender);
            }
        }
        let many = names.len() > COLOURS;
        let mut best: Vec<&str> = names.clone();
        best.retain(|name| !FIXED_OF_MANY.contains(name));
        let others = best.len();
        best.sort_by(|a, b| worst(rows, b).total_cmp(&worst(rows, a)));
        best.truncate(BEST);
        let about = many.then(|| {
            format!(
                "In colour: adaptive, none, and of {others} others the {BEST} with the highest worst score: {}.",
                best.join(", ")
            )
        });
        let coloured = |name: &str| !many || FIXED_OF_MANY.contains(&name) || best.contains(&name);
        // The colours of fixed contenders that are not in the chart are free, the last ones first.
        let mut free: Vec<usize> = (0..COLOURS)
            .filter(|colour| {
                FIXED
                    .get(*colour)
                    .is_none_or(|fixed| !names.contains(fixed))
            })
            .collect();
        free.sort_by_key(|colour| *colour < FIXED.len());
        let mut free = free.into_iter();
        let mut contenders: Vec<(String, usize)> = names
            .iter()
            .map(|name| {
                let fixed = FIXED.iter().position(|fixed| fixed == name);
                let colour = if coloured(name) {
                    fixed.or_else(|| free.next()).unwrap_or(DIM)
                } else {
                    DIM
                };
                ((*name).to_owned(), colour)
            })
            .collect();
        contenders.sort_by_key(|(_, colour)| *colour != DIM);
        contenders.sort_by_key(|(name, _)| name == "adaptive");
        Self { contenders, about }
    }

    /// The contenders and their colours.
    pub(super) fn contenders(&self) -> impl Iterator<Item = (&str, usize)> {
        self.contenders
            .iter()
            .map(|(name, colour)| (name.as_str(), *colour))
    }
}

/// Whether the contender is Plimsoll's default, tuned by hand, or no protection.
pub(super) fn is_reference(contender: &str) -> bool {
    FIXED.contains(&contender)
}

/// The lowest score of a contender.
pub(super) fn worst(rows: &[Row], contender: &str) -> f64 {
    let own = rows.iter().filter(|row| row.contender == contender);
    own.map(|row| row.score).fold(1.0, f64::min)
}
