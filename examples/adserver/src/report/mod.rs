//! The figures as a table, as JSON, and as a page with curves.

mod axis;
mod chart;
mod html;
mod json;
mod table;
mod tables;
mod tiles;

pub(crate) use self::{
    html::html,
    json::json,
    table::{table, totals},
};

/// Escapes text for HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
