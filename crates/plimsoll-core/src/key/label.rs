//! Keys as text, for reports.

use super::Key;
use crate::panics;

/// Longest label, in bytes; the rest is cut off. It bounds the memory of reports: host names and
/// tenants are shorter. `a_long_label_is_cut_at_a_character` fails when it differs.
const LONGEST: usize = 128;

/// A key with a [label](Key::label) of its own, made by [`labelled`].
#[derive(Debug, Clone)]
pub struct Labelled<K, F> {
    key: K,
    label: F,
}

/// Gives a key a [label](Key::label), which names it in reports.
///
/// For keys without a label: closures, and secrets such as [`ApiKey`](crate::ApiKey). `label` is
/// called for the first requests of a key and for rejections in reports, not for every request.
///
/// ```
/// use plimsoll_core::{Key, labelled};
///
/// let tenant = |req: &http::Request<()>| req.extensions().get::<u64>().copied();
/// let key = labelled(tenant, move |req: &http::Request<()>| {
///     tenant(req).map(|tenant| format!("tenant-{tenant}"))
/// });
/// let mut req = http::Request::new(());
/// req.extensions_mut().insert(7_u64);
/// assert_eq!(key.label(&req).as_deref(), Some("tenant-7"));
/// ```
pub const fn labelled<K, F>(key: K, label: F) -> Labelled<K, F> {
    Labelled { key, label }
}

impl<Req, K, F> Key<Req> for Labelled<K, F>
where
    K: Key<Req>,
    F: Fn(&Req) -> Option<String> + Send + Sync,
{
    type Key<'a>
        = K::Key<'a>
    where
        Self: 'a,
        Req: 'a;

    #[inline]
    fn key<'a>(&'a self, req: &'a Req) -> Option<K::Key<'a>> {
        self.key.key(req)
    }

    fn cure(&self, req: &Req) -> &'static str {
        self.key.cure(req)
    }

    fn label(&self, req: &Req) -> Option<String> {
        (self.label)(req)
    }
}

/// Returns the label of a request's key, cut to its longest length. A panic counts as no label.
pub(crate) fn label_of<Req, K: Key<Req>>(key: &K, req: &Req) -> Option<Box<str>> {
    let mut label = None;
    panics::contain(|| label = key.label(req));
    let mut label = label?;
    if label.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|end| label.is_char_boundary(*end));
        let end = end.unwrap_or(0);
        label.truncate(end);
    }
    Some(label.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_label_is_cut_at_a_character() {
        let with = |text: String| labelled(|(): &()| Some(1), move |(): &()| Some(text.clone()));
        let label = label_of(&with("é".repeat(100)), &()).expect("a label");
        assert_eq!(label.len(), 128);
        let label = label_of(&with(format!("a{}", "é".repeat(100))), &()).expect("a label");
        assert_eq!(label.len(), 127);
    }

    #[test]
    fn a_label_changes_neither_the_key_nor_the_advice() {
        struct Plan;
        impl Key<u8> for Plan {
            type Key<'a> = u8;

            fn key<'a>(&'a self, req: &'a u8) -> Option<u8> {
                Some(*req)
            }

            fn cure(&self, _: &u8) -> &'static str {
                "send a plan"
            }
        }
        let plan = labelled(Plan, |plan: &u8| Some(format!("plan {plan}")));
        assert_eq!(plan.key(&7), Some(7));
        assert_eq!(plan.cure(&7), "send a plan");
        assert_eq!(plan.label(&7).as_deref(), Some("plan 7"));
    }

    #[test]
    fn a_panic_of_a_label_counts_as_no_label() {
        let panics = labelled(
            |(): &()| Some(1),
            |(): &()| -> Option<String> { panic!("no") },
        );
        assert_eq!(label_of(&panics, &()), None);
    }
}
