//! The criticality of a rejected request.

use http::HeaderName;
use plimsoll_core::{Criticality, Priority, RequestHead, wire};

/// Reads the criticality where [`ByExtension`](plimsoll_core::ByExtension) and
/// [`ByHeader`](plimsoll_core::ByHeader) do: the extensions first, then the header, as it is stated
/// there. Requests without a criticality, or with a malformed one, are `CRITICAL`.
///
/// `header` is another name of the header.
pub(crate) fn criticality(
    head: Option<RequestHead<'_>>,
    header: Option<&HeaderName>,
) -> Criticality {
    let Some(head) = head else {
        return Criticality::default();
    };
    if let Some(priority) = head.extensions.get::<Priority>() {
        return priority.criticality();
    }
    let mut stated = head
        .headers
        .get_all(header.unwrap_or(&wire::CRITICALITY))
        .iter();
    match (stated.next(), stated.next()) {
        (Some(once), None) => once
            .to_str()
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default(),
        _ => Criticality::default(),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn stated(values: &[&str]) -> Request<()> {
        let mut request = Request::new(());
        for value in values {
            let value = value.parse().unwrap();
            request.headers_mut().append(wire::CRITICALITY, value);
        }
        request
    }

    fn read(request: &Request<()>) -> Criticality {
        criticality(Some(request.into()), None)
    }

    #[test]
    fn the_extension_overrides_the_header_and_an_unreadable_header_is_critical() {
        assert_eq!(criticality(None, None), Criticality::Critical);
        assert_eq!(read(&stated(&[])), Criticality::Critical);
        assert_eq!(read(&stated(&["sheddable"])), Criticality::Sheddable);
        assert_eq!(read(&stated(&["URGENT"])), Criticality::Critical);
        let twice = stated(&["SHEDDABLE", "SHEDDABLE"]);
        assert_eq!(read(&twice), Criticality::Critical);
        let mut both = stated(&["SHEDDABLE"]);
        let extension = Priority::new(Criticality::CriticalPlus);
        both.extensions_mut().insert(extension);
        assert_eq!(read(&both), Criticality::CriticalPlus);
    }

    #[test]
    fn another_header_can_be_set() {
        let mut request = stated(&["SHEDDABLE"]);
        let own = HeaderName::from_static("x-importance");
        request
            .headers_mut()
            .append(&own, "CRITICAL_PLUS".parse().unwrap());
        let read = criticality(Some((&request).into()), Some(&own));
        assert_eq!(read, Criticality::CriticalPlus);
    }
}
