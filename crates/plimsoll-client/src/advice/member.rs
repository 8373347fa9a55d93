//! Fields that are lists of Strings with parameters (RFC 9651).

use std::{borrow::Cow, fmt};

use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{
    BareItemFromInput, KeyRef, Parser,
    visitor::{
        EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor, ParameterVisitor,
    },
};

/// Longest field that is read, in bytes. It bounds the work for a field that a server writes;
/// `malformed_fields_are_ignored_as_a_whole` fails when it is larger.
const LONGEST: usize = 64 * 1024;

/// The field is malformed, and is ignored as a whole.
#[derive(Debug)]
pub(super) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("field must be a list of Strings with the parameters of its draft")
    }
}

impl std::error::Error for Malformed {}

/// A member with its known parameters. The last of repeated parameters counts, so values are
/// checked only after all of them were read.
#[derive(Debug, Default)]
pub(super) struct Member<'de> {
    pub(super) name: String,
    pub(super) q: Option<BareItemFromInput<'de>>,
    pub(super) qu: Option<BareItemFromInput<'de>>,
    pub(super) w: Option<BareItemFromInput<'de>>,
    pub(super) r: Option<BareItemFromInput<'de>>,
    pub(super) t: Option<BareItemFromInput<'de>>,
    pub(super) pk: Option<BareItemFromInput<'de>>,
}

/// Reads the members of a field, each made by `make`. Returns none when any is malformed.
pub(super) fn read_all<M>(
    headers: &HeaderMap,
    name: &HeaderName,
    make: fn(Member<'_>) -> Result<M, Malformed>,
) -> Vec<M> {
    let field = joined(headers, name);
    if field.len() > LONGEST {
        return Vec::new();
    }
    Parser::new(&*field)
        .parse_list_with_visitor(Members {
            make,
            made: Vec::new(),
        })
        .unwrap_or_default()
}

/// Joins all lines of a field with commas.
fn joined<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Cow<'h, [u8]> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut field = Cow::Borrowed(lines.next().unwrap_or_default());
    for line in lines {
        let field = field.to_mut();
        field.extend_from_slice(b", ");
        field.extend_from_slice(line);
    }
    field
}

type Make<'de, M> = fn(Member<'de>) -> Result<M, Malformed>;

struct Members<'de, M> {
    make: Make<'de, M>,
    made: Vec<M>,
}

impl<'de, M> ListVisitor<'de> for Members<'de, M> {
    type Out = Vec<M>;
    type Error = Malformed;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, Malformed> {
        Ok(Entry {
            members: self,
            member: Member::default(),
        })
    }

    fn finish(self) -> Result<Vec<M>, Malformed> {
        Ok(self.made)
    }
}

/// A member that is being read.
struct Entry<'a, 'de, M> {
    members: &'a mut Members<'de, M>,
    member: Member<'de>,
}

impl<'de, M> EntryVisitor<'de> for Entry<'_, 'de, M> {
    type Error = Malformed;

    fn item(self) -> Result<impl ItemVisitor<'de>, Malformed> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Malformed> {
        Err::<Ignored, _>(Malformed)
    }
}

impl<'de, M> ItemVisitor<'de> for Entry<'_, 'de, M> {
    type Out = ();
    type Error = Malformed;

    fn bare_item(
        mut self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Malformed> {
        let BareItemFromInput::String(name) = item else {
            return Err(Malformed);
        };
        self.member.name = name.into_owned().into();
        Ok(self)
    }
}

impl<'de, M> ParameterVisitor<'de> for Entry<'_, 'de, M> {
    type Out = ();
    type Error = Malformed;

    fn parameter(
        &mut self,
        key: &'de KeyRef,
        value: BareItemFromInput<'de>,
    ) -> Result<(), Malformed> {
        let member = &mut self.member;
        let place = match key.as_str() {
            "q" => &mut member.q,
            "qu" => &mut member.qu,
            "w" => &mut member.w,
            "r" => &mut member.r,
            "t" => &mut member.t,
            "pk" => &mut member.pk,
            _ => return Ok(()),
        };
        *place = Some(value);
        Ok(())
    }

    fn finish(self) -> Result<(), Malformed> {
        let made = (self.members.make)(self.member)?;
        self.members.made.push(made);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_field_is_an_error_that_names_the_type() {
        assert!(Malformed.to_string().contains("list of Strings"));
    }
}
