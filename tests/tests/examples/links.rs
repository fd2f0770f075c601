//! Links between pages.

use std::fs;
use std::path::Path;

use crate::page::{Page, root};

/// The names by which headings of a page are linked: lower case, blanks as hyphens, no punctuation.
fn headings(text: &str) -> Vec<String> {
    let slug = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        kept.collect::<String>().replace(' ', "-")
    };
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(slug)
        .collect()
}

/// What stands between `](` and `)`, outside of fences, with the line it stands on.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        fenced ^= line.starts_with("```");
        if !fenced {
            let targets = line.split("](").skip(1);
            found.extend(targets.filter_map(|rest| Some((number, rest.split_once(')')?.0))));
        }
    }
    found
}

/// Links of a page that lead nowhere.
pub(crate) fn broken(page: &Page) -> Vec<String> {
    let text = fs::read_to_string(root().join(&page.name)).expect("a page");
    let folder = root().join(Path::new(&page.name).parent().expect("a folder"));
    let leads = |target: &str| {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() {
            root().join(&page.name)
        } else {
            folder.join(path)
        };
        path.exists()
            && (heading.is_empty()
                || fs::read_to_string(path)
                    .is_ok_and(|text| headings(&text).iter().any(|one| one == heading)))
    };
    links(&text)
        .into_iter()
        .filter(|(_, target)| !target.starts_with("http") && !leads(target))
        .map(|(line, target)| format!("{}:{line}: {target}", page.name))
        .collect()
}
