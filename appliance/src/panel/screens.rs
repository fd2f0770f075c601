//! The screens: what is on all of them, and all but the result's.
//!
//! Sizes follow from reading at two metres: what matters is set at 36 pixels and more, details at 18 to 22.

use nephrobox_shared::class::Class;

use super::canvas::{BAD, Canvas, FAINT, GOOD, INK, NOTICE, NOTICE_PAPER, PAPER, RULE, Type, rgb};
use super::result;
use super::view::{Screen, View, percent};
use super::{HEIGHT, WIDTH};
use crate::overlay;
use crate::snapshot::{Slot, SlotState};

/// Left and right margin.
pub(super) const LEFT: f32 = 32.0;
pub(super) const RIGHT: f32 = WIDTH as f32 - 32.0;
const ROOM: f32 = RIGHT - LEFT;

/// The rule under the header, and the one above the footer; between them is the screen.
pub(super) const TOP: i32 = 56;
pub(super) const BOTTOM: i32 = 440;
/// Height of a banner.
const BANNER: i32 = 60;

const HEADING: Type = Type::bold(40.0, INK);
const LABEL: Type = Type::regular(22.0, FAINT);
const VALUE: Type = Type::bold(26.0, INK);
const HUGE: f32 = 132.0;

/// Draws a whole screen.
pub(super) fn draw(canvas: &mut Canvas, view: &View) {
    canvas.fill((0, 0), (WIDTH, HEIGHT), PAPER);
    header(canvas, view);
    footer(canvas);
    let bottom = match &view.banner {
        Some(words) => banner(canvas, words),
        None => BOTTOM,
    };
    match &view.screen {
        Screen::Starting => starting(canvas, view),
        Screen::Idle {
            not_ready,
            aside,
            used_percent,
        } => idle(canvas, view, not_ready.as_deref(), *aside, *used_percent),
        Screen::Receiving {
            scan,
            done_bytes,
            total_bytes,
        } => progress(
            canvas,
            "Receiving a scan",
            percent(*done_bytes, *total_bytes),
            &megabytes(*done_bytes, *total_bytes),
            scan,
        ),
        Screen::Working {
            scan,
            slice,
            slices,
        } => progress(
            canvas,
            "Measuring a scan",
            percent(u64::from(*slice), u64::from(*slices)),
            &format!("{slice} of {slices} slices"),
            scan,
        ),
        Screen::Result(result) => result::draw(canvas, view, result, bottom),
        Screen::Fault {
            code,
            message,
            more,
        } => fault(canvas, code.name(), message, *more),
        Screen::Flashing { step, slots } => flashing(canvas, step, slots),
    }
}

fn header(canvas: &mut Canvas, view: &View) {
    let baseline = 38.0;
    let model = view.model.as_deref().unwrap_or("none");
    let name = canvas.left(Type::bold(25.0, INK), (LEFT, baseline), 330.0, &view.name);
    let mut right = canvas.right(Type::regular(20.0, INK), (RIGHT, baseline), 280.0, model);
    right = canvas.right(
        Type::regular(20.0, FAINT),
        (right - 8.0, baseline),
        100.0,
        "model",
    );
    if view.queued > 0 {
        let waiting = format!("{} waiting", view.queued);
        let room = right - 24.0 - name - 24.0;
        canvas.right(
            Type::bold(20.0, NOTICE),
            (right - 24.0, baseline),
            room,
            &waiting,
        );
    }
    rule(canvas, TOP);
}

/// The first sentence of the notice large, the others after it.
fn footer(canvas: &mut Canvas) {
    rule(canvas, BOTTOM);
    let baseline = 467.0;
    let (first, rest) = overlay::notice();
    let end = canvas.left(Type::bold(20.0, NOTICE), (LEFT, baseline), ROOM, first);
    let rest_at = end + 16.0;
    canvas.left(
        Type::regular(16.0, FAINT),
        (rest_at, baseline),
        RIGHT - rest_at,
        rest,
    );
}

/// Returns where the screen above it ends.
fn banner(canvas: &mut Canvas, words: &str) -> i32 {
    let top = BOTTOM - BANNER;
    canvas.fill((0, top), (WIDTH, BANNER as u32), NOTICE_PAPER);
    canvas.fill((0, top), (8, BANNER as u32), NOTICE);
    let kind = Type::regular(20.0, INK);
    // One line stands in the middle, two fill the height.
    let one = canvas.width(kind, words) <= ROOM;
    let baseline = top as f32 + if one { 37.0 } else { 25.0 };
    canvas.paragraph(kind, (LEFT, baseline), ROOM, (2, 24.0), words);
    top
}

fn rule(canvas: &mut Canvas, y: i32) {
    canvas.fill((LEFT as i32, y), (ROOM as u32, 1), RULE);
}

fn starting(canvas: &mut Canvas, view: &View) {
    canvas.left(Type::bold(92.0, INK), (LEFT, 226.0), ROOM, "Starting");
    canvas.paragraph(
        Type::regular(28.0, FAINT),
        (LEFT + 3.0, 276.0),
        ROOM,
        (2, 36.0),
        "Queue and model are being checked.",
    );
    canvas.left(
        LABEL,
        (LEFT + 3.0, 348.0),
        ROOM,
        &format!("nephrobox {}", view.version),
    );
}

fn idle(canvas: &mut Canvas, view: &View, not_ready: Option<&str>, aside: u64, used_percent: u8) {
    let (word, colour, words) = match not_ready {
        None => ("Ready", GOOD, "Send a scan."),
        Some(reason) => ("Not ready", NOTICE, reason),
    };
    canvas.fill((LEFT as i32, 96), (8, 96), colour);
    canvas.left(
        Type::bold(92.0, colour),
        (LEFT + 32.0, 174.0),
        ROOM - 32.0,
        word,
    );
    let said = Type::regular(28.0, INK);
    canvas.paragraph(said, (LEFT + 35.0, 232.0), ROOM - 35.0, (2, 36.0), words);
    let facts = [
        ("waiting", view.queued.to_string()),
        ("set aside", aside.to_string()),
        ("room taken", format!("{used_percent} %")),
    ];
    table(canvas, 300.0, &facts);
}

/// Names above values, in three columns under a rule each.
fn table(canvas: &mut Canvas, top: f32, facts: &[(&str, String); 3]) {
    let (gap, columns) = (32.0, facts.len() as f32);
    let width = (ROOM - gap * (columns - 1.0)) / columns;
    for (index, (name, value)) in facts.iter().enumerate() {
        let x = LEFT + index as f32 * (width + gap);
        canvas.fill((x as i32, top as i32), (width as u32, 1), RULE);
        canvas.left(LABEL, (x, top + 30.0), width, name);
        canvas.left(VALUE, (x, top + 62.0), width, value);
    }
}

/// A large share, a bar, and what it is a share of.
fn progress(canvas: &mut Canvas, heading: &str, percent: Option<u8>, of: &str, scan: &str) {
    let accent = rgb(Class::Kidney.colour());
    canvas.left(HEADING, (LEFT, 118.0), ROOM, heading);
    if let Some(percent) = percent {
        let number = Type::bold(HUGE, INK);
        let end = canvas.left(number, (LEFT - 6.0, 254.0), ROOM, &percent.to_string());
        canvas.left(Type::regular(64.0, FAINT), (end + 14.0, 254.0), ROOM, "%");
    }
    let done = ROOM as u32 * u32::from(percent.unwrap_or(0)) / 100;
    canvas.fill((LEFT as i32, 290), (ROOM as u32, 20), RULE);
    canvas.fill((LEFT as i32, 290), (done, 20), accent);
    let details = Type::regular(26.0, INK);
    canvas.left(details, (LEFT, 350.0), ROOM / 2.0, of);
    let scan = format!("scan {scan}");
    canvas.right(LABEL, (RIGHT, 350.0), ROOM / 2.0 - 16.0, &scan);
}

/// How much of a transfer is here.
fn megabytes(done: u64, total: u64) -> String {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    if total == 0 {
        return format!("{:.1} MB", megabytes(done));
    }
    format!("{:.1} of {:.1} MB", megabytes(done), megabytes(total))
}

fn fault(canvas: &mut Canvas, code: &str, message: &str, more: usize) {
    canvas.fill((0, TOP), (12, (BOTTOM - TOP) as u32), BAD);
    canvas.left(
        Type::bold(40.0, BAD),
        (LEFT, 118.0),
        ROOM,
        "The box takes no scans",
    );
    let words = Type::regular(34.0, INK);
    canvas.paragraph(words, (LEFT, 176.0), ROOM, (4, 42.0), message);
    let others = match more {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    canvas.left(LABEL, (LEFT, 358.0), ROOM, &format!("fault {code}{others}"));
}

fn flashing(canvas: &mut Canvas, step: &str, slots: &[Slot; 2]) {
    canvas.left(
        Type::regular(26.0, FAINT),
        (LEFT, 104.0),
        ROOM,
        "Installing a model",
    );
    canvas.paragraph(Type::bold(54.0, INK), (LEFT, 160.0), ROOM, (1, 60.0), step);
    canvas.left(
        Type::regular(22.0, FAINT),
        (LEFT, 204.0),
        ROOM,
        "The confirmed model stays until the new one has passed its self-test.",
    );
    let width = (ROOM - 24.0) / 2.0;
    for (index, (letter, slot)) in ["A", "B"].iter().zip(slots).enumerate() {
        let x = LEFT + index as f32 * (width + 24.0);
        card(canvas, (x, 240.0), width, letter, slot);
    }
}

/// One slot: its letter, model and state.
fn card(canvas: &mut Canvas, (x, y): (f32, f32), width: f32, letter: &str, slot: &Slot) {
    let colour = match slot.state {
        SlotState::Empty => FAINT,
        SlotState::Written | SlotState::Trial => rgb(Class::Kidney.colour()),
        SlotState::Confirmed => GOOD,
        SlotState::Bad => BAD,
    };
    canvas.frame((x as i32, y as i32), (width as u32, 124), RULE);
    canvas.fill((x as i32, y as i32), (6, 124), colour);
    let (left, room) = (x + 24.0, width - 44.0);
    canvas.left(LABEL, (left, y + 34.0), room, &format!("Slot {letter}"));
    let model = slot.model.as_deref().unwrap_or("no model");
    canvas.left(VALUE, (left, y + 70.0), room, model);
    canvas.left(
        Type::bold(22.0, colour),
        (left, y + 104.0),
        room,
        slot.state.word(),
    );
}

// The result's picture fills the height between the rules and leaves room for the numbers beside it.
const _: () = assert!(overlay::KEY_SIZE.0 + 270 + 20 + 2 * 32 <= WIDTH);
const _: () = assert!(overlay::KEY_SIZE.1 as i32 + 16 == BOTTOM - TOP);
