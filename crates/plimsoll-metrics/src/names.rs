//! Names that come from the program: bounded, so that labels are.

/// Most bytes of a gate's name. Names are a label of some hundred series per gate, each written in
/// each scrape. `a_gate_with_a_long_name_keeps_its_beginning` fails when it differs.
pub(crate) const MAX_GATE: usize = 128;

/// Shortens a name that is longer than [`MAX_GATE`] bytes: its beginning, and a hash of all of it, so
/// that two long names stay two gates. Returns whether it was longer.
pub(crate) fn bounded(name: &mut String) -> bool {
    if name.len() <= MAX_GATE {
        return false;
    }
    let hash = format!("~{:016x}", fnv(name.as_bytes()));
    let room = MAX_GATE - hash.len();
    let end = (0..=room).rev().find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or(0));
    name.push_str(&hash);
    true
}

/// FNV-1a: the same in each process, so that series of a fleet have one name.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_are_bounded_and_differ(name in ".{0,400}") {
            let mut short = name.clone();
            let longer = bounded(&mut short);
            prop_assert_eq!(longer, name.len() > MAX_GATE);
            prop_assert!(short.len() <= MAX_GATE);
            let mut other = name.clone() + "x";
            bounded(&mut other);
            prop_assert_ne!(short, other);
        }
    }
}
