//! The files of the page, embedded in the program.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;

use crate::board::fnv;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The page itself. `{base}` is the folder of the board, relative to the path of the page.
const PAGE: &str = include_str!("page/index.html");

/// What the page loads: path, type and content.
pub(crate) const FILES: [(&str, &str, &str); 10] = [
    ("/colours.css", CSS, include_str!("page/colours.css")),
    ("/board.css", CSS, include_str!("page/board.css")),
    ("/icon.svg", SVG, include_str!("page/icon.svg")),
    ("/board.js", JS, include_str!("page/board.js")),
    ("/card.js", JS, include_str!("page/card.js")),
    ("/chart.js", JS, include_str!("page/chart.js")),
    ("/control.js", JS, include_str!("page/control.js")),
    ("/detail.js", JS, include_str!("page/detail.js")),
    ("/format.js", JS, include_str!("page/format.js")),
    ("/stream.js", JS, include_str!("page/stream.js")),
];

/// A file with its tag.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    kind: HeaderValue,
    etag: Option<HeaderValue>,
    body: Bytes,
}

impl Asset {
    pub(crate) fn new((_, kind, text): (&str, &'static str, &'static str)) -> Self {
        Self::of(kind, Bytes::from_static(text.as_bytes()))
    }

    /// The page at this path. At `/ops/plimsoll` its files are in `./plimsoll/`, at `/ops/plimsoll/`
    /// in `./`: a proxy may add or remove folders before the last one.
    pub(crate) fn page(path: &str) -> Self {
        let last = path.rsplit('/').next().unwrap_or_default();
        let mut base = String::from("./");
        for c in last.chars() {
            match c {
                '&' => base.push_str("&amp;"),
                '"' => base.push_str("&quot;"),
                '\'' => base.push_str("&#39;"),
                '<' => base.push_str("&lt;"),
                c => base.push(c),
            }
        }
        if !last.is_empty() {
            base.push('/');
        }
        Self::of(HTML, PAGE.replace("{base}", &base).into())
    }

    fn of(kind: &'static str, body: Bytes) -> Self {
        let etag = format!("\"{:016x}\"", fnv(&body));
        Self {
            kind: HeaderValue::from_static(kind),
            etag: HeaderValue::from_str(&etag).ok(),
            body,
        }
    }

    /// The file, or 304 when the client has it.
    pub(crate) fn response(&self, request: &HeaderMap) -> Response<Body> {
        let known = self
            .etag
            .as_ref()
            .is_some_and(|etag| matches(request, etag));
        let mut response = Response::new(if known {
            Body::empty()
        } else {
            Body::from(self.body.clone())
        });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.kind.clone());
        // A browser asks each time, so that a new version of the program has its own page.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(etag) = &self.etag {
            headers.insert(header::ETAG, etag.clone());
        }
        response
    }
}

/// Whether `if-none-match` names this tag.
fn matches(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let tags = request.get_all(header::IF_NONE_MATCH).into_iter();
    let mut tags = tags
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','))
        .map(str::trim);
    tags.any(|tag| {
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// The colours of the light and the dark page, by name.
    fn colours() -> [HashMap<String, [u8; 3]>; 2] {
        let css = include_str!("page/colours.css");
        let (light, dark) = css.split_once("@media").unwrap();
        [light, dark].map(|css| {
            let declarations = css
                .split(['{', ';', '}'])
                .filter_map(|of| of.split_once(": #"));
            declarations
                .map(|(name, hex)| {
                    let hex = hex.trim();
                    let digit = |at: usize| {
                        let wide = hex.len() == 6;
                        let digits = if wide {
                            hex[at * 2..at * 2 + 2].to_owned()
                        } else {
                            hex[at..=at].repeat(2)
                        };
                        u8::from_str_radix(&digits, 16).unwrap()
                    };
                    (name.trim().to_owned(), [digit(0), digit(1), digit(2)])
                })
                .collect()
        })
    }

    /// The contrast of WCAG 2.
    fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let luminance = |colour: [u8; 3]| {
            let [r, g, b] = colour.map(|part| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 {
                    part / 12.92
                } else {
                    ((part + 0.055) / 1.055).powf(2.4)
                }
            });
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn colours_have_the_contrast_of_wcag_aa_light_and_dark() {
        for colours in colours() {
            let of = |name: &str| colours[name];
            for text in ["--text", "--soft", "--void", "--bare"] {
                for page in ["--page", "--band"] {
                    let contrast = contrast(of(text), of(page));
                    assert!(contrast >= 4.5, "{text} on {page}: {contrast:.2}");
                }
            }
            assert!(contrast(of("--text"), of("--notice")) >= 4.5);
            for shape in [
                "--plimsoll",
                "--r0",
                "--r1",
                "--r2",
                "--r3",
                "--r4",
                "--r5",
                "--mark",
                "--void",
                "--bare",
            ] {
                let contrast = contrast(of(shape), of("--page"));
                assert!(contrast >= 3.0, "{shape}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn the_page_has_nothing_inline_and_no_other_host() {
        let files = FILES.iter().map(|(_, _, text)| *text).chain([PAGE]);
        for text in files {
            for word in [
                "https://",
                "innerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=",
                "onclick",
            ] {
                assert!(!text.contains(word), "{word}");
            }
            let hosts = text.matches("http://").count();
            // The namespaces of SVG.
            assert!(hosts == text.matches("http://www.w3.org/2000/svg").count());
        }
    }

    #[test]
    fn all_modules_of_the_page_are_served() {
        for (_, _, text) in FILES {
            for import in text.split(" from \"./").skip(1) {
                let file = import.split('"').next().unwrap();
                assert!(FILES.iter().any(|(path, ..)| path[1..] == *file), "{file}");
            }
        }
    }
}
