//! Content negotiation between the two text formats.

use http::{HeaderMap, header};

/// Whether `accept` names OpenMetrics, with at least the quality of plain text.
///
/// Browsers, `curl` and old scrapers accept anything and get the classic text, which they can
/// display.
pub(crate) fn prefers_openmetrics(headers: &HeaderMap) -> bool {
    let (mut open, mut plain) = (0, 0);
    let values = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|part| part.split_once('='));
        let (mut quality, mut known) = (1000, true);
        for (name, value) in parameters {
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = millis(value.trim()),
                "version" => known = matches!(value.trim().trim_matches('"'), "1.0.0" | "0.0.4"),
                _ => {}
            }
        }
        if !known {
            continue;
        }
        if media.eq_ignore_ascii_case("application/openmetrics-text") {
            open = open.max(quality);
        } else if media.eq_ignore_ascii_case("text/plain") {
            plain = plain.max(quality);
        }
    }
    open > 0 && open >= plain
}

/// A quality in thousandths, within the limits of RFC 9110; 0 when it is malformed.
fn millis(quality: &str) -> u16 {
    match quality.parse::<f32>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1000.0) as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(accept: &'static str, openmetrics: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        assert_eq!(prefers_openmetrics(&headers), openmetrics, "{accept}");
    }

    #[test]
    fn openmetrics_is_chosen_when_accept_prefers_it() {
        // Prometheus 3, Prometheus 2.5, curl, a browser.
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            true,
        );
        check(
            "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            false,
        );
        check("*/*", false);
        check("text/html,application/xhtml+xml,*/*;q=0.8", false);
        check("application/openmetrics-text", true);
        check("Application/OpenMetrics-Text; Version=\"1.0.0\"", true);
        check("application/openmetrics-text;q=0", false);
        check("application/openmetrics-text;q=0.2,text/plain;q=0.9", false);
        check("application/openmetrics-text;q=nonsense", false);
        check("", false);
        assert!(!prefers_openmetrics(&HeaderMap::new()));
    }
}
