//! The table as a page for people: `docs/hostile-inputs.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::row::{Told, Way};
use crate::run::{LARGE_KIB, REFUSAL_KIB, WORK_KIB};
use crate::table::SECTIONS;

/// Asks for the page to be written.
const WRITE: &str = "NEPHROBOX_WRITE_DOCS";

fn head(rows: usize) -> String {
    format!(
        "# Hostile inputs\n\n\
         {rows} inputs that nobody should send, by every way in, and what comes of them. Every row is run, as a process, by\n\n\
         <!-- not run: it is an ordinary test -->\n```sh\ncargo test --workspace --test hostile\n```\n\n\
         which also compares this page with what the programs say; `{WRITE}=1` in front of it writes the page anew.\n\n\
         Besides code and sentence, each row checks: no panic, no backtrace, no control character to the terminal, no word of the patient, \
         nothing left in the folder of the results or of temporary files, an end within two minutes, and private memory (heap, stacks, \
         anonymous mappings: `RLIMIT_DATA`, so the kernel enforces it) of at most {} MiB for a refusal, {} MiB where the scan is segmented \
         after all, {} MiB for the largest ones. A row of code 0 is odd, and taken.\n\n\
         Exit codes: `nephrobox --help`, `nephroctl --help`, `nephrotrain --help`. A row \"at every 1 %\" stands for 99 files; the sentence is that of the one in \
         the middle.\n",
        REFUSAL_KIB >> 10,
        WORK_KIB >> 10,
        LARGE_KIB >> 10,
    )
}

/// Characters of a cell; what is beyond them nobody reads in a table.
const MOST: usize = 300;

/// Text that a cell of a table can hold.
fn cell(text: &str) -> String {
    let text = text.replace('\n', " / ");
    let text = text.replace('|', "\\|").replace('<', "&lt;");
    if text.chars().count() > MOST {
        let short: String = text.chars().take(MOST).collect();
        return format!("{short} …");
    }
    text
}

fn document(told: &[Vec<Told>]) -> String {
    let mut text = head(told.iter().map(Vec::len).sum());
    for (section, rows) in SECTIONS.iter().zip(told) {
        let code = match section.way {
            Way::Program { .. } => "Code",
            Way::Service(_) => "Answer",
        };
        let _ = write!(
            text,
            "\n## {}\n\n`{}`\n\n| Input | {code} | What it says | What to do |\n| --- | --- | --- | --- |\n",
            section.title, section.command
        );
        for row in rows {
            let [name, answer, what, remedy] =
                [&row.name, &row.answer, &row.what, &row.remedy].map(|text| cell(text));
            let _ = writeln!(text, "| {name} | {answer} | {what} | {remedy} |");
        }
    }
    text
}

/// Compares the page with what was told, or writes it.
pub(crate) fn compare(told: &[Vec<Told>]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/hostile-inputs.md");
    let now = document(told);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, now).expect("the page is written");
        return;
    }
    let page = fs::read_to_string(&path).unwrap_or_default();
    for (written, told) in page.lines().zip(now.lines()) {
        assert_eq!(
            written, told,
            "docs/hostile-inputs.md is old; {WRITE}=1 writes it anew"
        );
    }
    assert_eq!(
        page.len(),
        now.len(),
        "docs/hostile-inputs.md is old; {WRITE}=1 writes it anew"
    );
}
