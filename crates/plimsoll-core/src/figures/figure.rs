//! A figure: its name, type, unit and help text.

/// A figure of a policy: its name, its type, and a help text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figure {
    /// The name, such as `limit`; exporters add a prefix, and `_total` to a counter.
    pub name: &'static str,
    /// The unit, in the plural: `seconds`, `bytes`. `None` for numbers and ratios.
    pub unit: Option<&'static str>,
    /// The type.
    pub kind: FigureKind,
    /// One line about the figure, without a full stop.
    pub help: &'static str,
    /// A label and its value, where several figures have one name: `criticality` and `sheddable`.
    pub label: Option<(&'static str, &'static str)>,
}

/// The type of a [`Figure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FigureKind {
    /// A value that rises and falls.
    Gauge,
    /// A count that never falls.
    Counter,
    /// One of these states; the value is its position in the list.
    State(&'static [&'static str]),
}

impl Figure {
    /// A figure that rises and falls.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: None,
            kind: FigureKind::Gauge,
            help,
            label: None,
        }
    }

    /// A figure that never falls.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            unit: None,
            kind: FigureKind::Counter,
            help,
            label: None,
        }
    }

    /// A figure that is one of `states`.
    pub const fn state(
        name: &'static str,
        states: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            unit: None,
            kind: FigureKind::State(states),
            help,
            label: None,
        }
    }

    /// Sets the unit.
    #[must_use]
    pub const fn in_unit(mut self, unit: &'static str) -> Self {
        self.unit = Some(unit);
        self
    }

    /// Sets the label, by which figures of one name differ.
    #[must_use]
    pub const fn with_label(mut self, label: &'static str, value: &'static str) -> Self {
        self.label = Some((label, value));
        self
    }

    /// Returns whether both have the same name and label. Exporters of different crates may have a
    /// static of their own for one idea.
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name && self.label == other.label
    }

    /// Returns the name of a state, when this figure is one and `value` is in its list.
    pub fn state_name(&self, value: f64) -> Option<&'static str> {
        let FigureKind::State(states) = self.kind else {
            return None;
        };
        let mut places = (0_u32..).zip(states);
        let found = places.find(|(place, _)| f64::from(*place).total_cmp(&value).is_eq());
        found.map(|(_, name)| *name)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    static DOOR: Figure = Figure::state("door", &["open", "shut"], "The door");

    #[test]
    fn a_state_has_a_name_only_within_its_list() {
        let names = [0.0, 1.0, 2.0, 0.5, -1.0, f64::NAN, f64::INFINITY];
        let names = names.map(|value| DOOR.state_name(value));
        let none = [None; 5];
        assert_eq!(names[..2], [Some("open"), Some("shut")]);
        assert_eq!(names[2..], none);
        assert_eq!(Figure::gauge("width", "The width").state_name(0.0), None);
    }

    #[test]
    fn figures_of_one_name_differ_by_label() {
        let shed = Figure::counter("shed", "Requests shed");
        let low = shed.with_label("criticality", "SHEDDABLE");
        assert!(shed.is(&shed.clone()) && !shed.is(&low));
    }
}
