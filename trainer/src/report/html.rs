//! Small pieces of HTML.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Text that is no markup.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// A share as a percentage; a dash where it is not defined.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or("–".into(), |v| format!("{:.1} %", 100.0 * v))
}

/// A table; the cells are markup already. The first column is text, the others are numbers.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = String::from("<table><thead><tr>");
    for cell in head {
        let _ = write!(out, "<th>{}</th>", escape(cell));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{cell}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>\n");
    out
}

/// A list of terms and what they are; the values are markup already.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let mut out = String::from("<dl>");
    for (term, value) in facts {
        let _ = write!(out, "<dt>{}</dt><dd>{value}</dd>", escape(term));
    }
    out.push_str("</dl>\n");
    out
}

/// A bar of a share, with the number beside it.
pub(super) fn bar(share: Option<f64>, class: &str) -> String {
    let width = 100.0 * share.unwrap_or(0.0).clamp(0.0, 1.0);
    format!(
        "<span class=\"bar\"><span class=\"{class}\" style=\"width:{width:.1}%\"></span></span> {}",
        percent(share)
    )
}

/// A PNG file within the page.
pub(super) fn image(path: &Path, alt: &str) -> std::io::Result<String> {
    let data = STANDARD.encode(std::fs::read(path)?);
    Ok(format!(
        "<img alt=\"{}\" src=\"data:image/png;base64,{data}\">",
        escape(alt)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_markup_in_it_stays_text() {
        let cell = escape("<script>&\"'");
        assert_eq!(cell, "&lt;script&gt;&amp;&quot;&#39;");
        assert!(facts(&[("a<b", cell)]).contains("<dt>a&lt;b</dt>"));
    }

    #[test]
    fn what_is_undefined_is_not_zero() {
        assert_eq!(percent(None), "–");
        assert_eq!(percent(Some(0.1234)), "12.3 %");
        assert!(bar(Some(2.0), "kidney").contains("width:100.0%"));
    }
}
