//! The table of hostile input: what nobody should send to a box, by every way in, and what comes of it.
//!
//! Every row is one bad input with a name. It is made in a folder of its own, given to the program as a person or a peer would, and the
//! program must end with the documented exit code and a sentence each of what, where and what to do; no panic, no word of a patient, nothing
//! left behind, all within a bound on memory that the kernel enforces ([`run::REFUSAL_KIB`] and its neighbours). Some rows are odd but
//! sound, and must be taken.
//!
//! `docs/hostile-inputs.md` is the table with the sentences as they come out. This test compares; with `NEPHROBOX_WRITE_DOCS=1` it writes.

#[path = "../whole/certificates.rs"]
#[allow(dead_code)] // the tests of the whole use all of it
mod certificates;
#[path = "../../../../appliance/tests/support/mod.rs"]
mod phantom;
#[path = "../../../../imaging/tests/dicom/series.rs"]
mod series;
#[path = "../whole/support.rs"]
#[allow(dead_code, unused_imports)] // the tests of the whole use all of it
mod support;

mod ground;
mod page;
mod row;
mod run;
mod table;

mod intake;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ground::Ground;
use row::{Told, Way};

/// Rows that the table has at least.
const AT_LEAST: usize = 150;

/// What is done by one thread at a time: a row of a program, or all rows of a box that runs.
enum Task {
    Row(usize, usize),
    Service(usize),
}

/// All that was told, by section and row, and what was wrong.
fn all_told(ground: &Ground) -> (Vec<Vec<Told>>, Vec<String>) {
    let sections = table::SECTIONS;
    let mut tasks = Vec::new();
    // What takes longest begins first.
    for (number, section) in sections.iter().enumerate() {
        if let Way::Service(_) = section.way {
            tasks.push(Task::Service(number));
        }
    }
    for (number, section) in sections.iter().enumerate() {
        if let Way::Program { rows, .. } = section.way {
            tasks.extend((0..rows.len()).map(|row| Task::Row(number, row)));
        }
    }
    let told: Mutex<Vec<(usize, usize, Told)>> = Mutex::default();
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let next = AtomicUsize::new(0);
    let note = |at: (usize, usize), result: Result<Told, String>| match result {
        Ok(one) => told.lock().expect("no panic").push((at.0, at.1, one)),
        Err(why) => wrong.lock().expect("no panic").push(why),
    };
    let work = || {
        while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
            match *task {
                Task::Row(section, row) => {
                    let done = guarded(|| run::row(ground, &sections[section], row));
                    let name = table::name(&sections[section], row);
                    note((section, row), done.map_err(|why| format!("{name}: {why}")));
                }
                Task::Service(section) => {
                    let title = sections[section].title;
                    let Way::Service(service) = sections[section].way else {
                        continue;
                    };
                    let done = guarded(|| Ok(service(ground)));
                    match done {
                        Ok(answers) => {
                            for (row, one) in answers.into_iter().enumerate() {
                                note((section, row), one.map_err(|why| format!("{title}: {why}")));
                            }
                        }
                        Err(why) => note((section, 0), Err(format!("{title}: {why}"))),
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4));
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let mut told = told.into_inner().expect("no panic");
    told.sort_by_key(|(section, row, _)| (*section, *row));
    let mut by_section: Vec<Vec<Told>> = sections.iter().map(|_| Vec::new()).collect();
    for (section, _, one) in told {
        by_section[section].push(one);
    }
    (by_section, wrong.into_inner().expect("no panic"))
}

/// A panic in a row's own making is that row's failure.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("the test itself failed: {}", words.unwrap_or("?")))
    })
}

#[test]
fn every_hostile_input_gets_its_sentence_and_its_exit_code_within_the_bound_on_memory() {
    let ground = Ground::new();
    let (told, wrong) = all_told(&ground);
    assert!(
        wrong.is_empty(),
        "{} rows are not as the table says:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    let rows: usize = told.iter().map(Vec::len).sum();
    println!("{rows} rows in {} sections", told.len());
    assert!(rows >= AT_LEAST, "{rows} rows");
    page::compare(&told);
}

#[test]
fn no_two_rows_of_a_section_have_one_name() {
    for section in table::SECTIONS {
        if let Way::Program { rows, .. } = section.way {
            let mut names: Vec<_> = rows.iter().map(|row| row.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), rows.len(), "{}", section.title);
        }
    }
}
