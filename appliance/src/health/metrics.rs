//! Metrics in Prometheus' text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::fmt::Write;

use super::readiness;
use crate::snapshot::{Activity, Snapshot};

/// The content type of [`text`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One metric: name, kind, help, and its value in a snapshot.
pub type Metric = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Snapshot) -> f64,
);

/// The metrics without labels; `docs/service.md` lists them.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    ("nephrobox_start_time_seconds", "gauge", "When the program started, in seconds since 1970 UTC.", |s| s.started_unix_s as f64),
    ("nephrobox_ready", "gauge", "1 if a scan sent now would be accepted.", |s| f64::from(u8::from(readiness(s).ready))),
    ("nephrobox_working", "gauge", "1 while the network looks at a scan.", |s| f64::from(u8::from(matches!(s.activity, Activity::Working { .. })))),
    ("nephrobox_arriving_slices", "gauge", "Slices that have come in over the network and are no scan yet.", |s| s.arriving_slices as f64),
    ("nephrobox_queued_scans", "gauge", "Scans that wait.", |s| s.queued as f64),
    ("nephrobox_aside_scans", "gauge", "Scans that could not be processed and are kept aside.", |s| s.aside as f64),
    ("nephrobox_spool_used_bytes", "gauge", "Room taken by scans and results.", |s| s.used_bytes as f64),
    ("nephrobox_spool_limit_bytes", "gauge", "Room that scans and results may take.", |s| s.limit_bytes as f64),
    ("nephrobox_faults", "gauge", "Things that are wrong at the moment.", |s| s.faults.len() as f64),
    ("nephrobox_scans_accepted_total", "counter", "Scans accepted.", |s| s.counters.accepted as f64),
    ("nephrobox_scans_refused_total", "counter", "Scans refused at the door.", |s| s.counters.refused as f64),
    ("nephrobox_scans_finished_total", "counter", "Scans with a result.", |s| s.counters.finished as f64),
    ("nephrobox_scans_failed_total", "counter", "Scans that came and got no report: unusable ones, and those set aside.", |s| s.counters.failed as f64),
    ("nephrobox_results_delivered_total", "counter", "Results delivered, each destination counted.", |s| s.counters.delivered as f64),
    ("nephrobox_received_bytes_total", "counter", "Bytes received.", |s| s.counters.received_bytes as f64),
    ("nephrobox_slices_total", "counter", "Slices processed.", |s| s.counters.slices as f64),
    ("nephrobox_working_seconds_total", "counter", "Time the worker was at work.", |s| s.counters.working_s),
];

/// All metrics as text.
#[must_use]
pub fn text(state: &Snapshot) -> String {
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    };
    let model = state.active_model.as_deref().unwrap_or("");
    let info = format!(
        "{{version=\"{}\",model=\"{}\"}}",
        escape(&state.version),
        escape(model)
    );
    family(
        "nephrobox_info",
        "gauge",
        "Version and active model; always 1.",
        &[(info, 1.0)],
    );
    for (name, kind, help, value) in METRICS {
        family(name, kind, help, &[(String::new(), value(state))]);
    }
    out
}

/// A label's value, escaped as the format asks.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_in_the_format() {
        let state = Snapshot {
            active_model: Some("a\"b\\c\nd".into()),
            queued: 2,
            ..Snapshot::default()
        };
        let text = text(&state);
        assert!(
            text.ends_with('\n') && text.contains("model=\"a\\\"b\\\\c\\nd\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("\nnephrobox_queued_scans 2\n"));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3 * (METRICS.len() + 1));
        for three in lines.chunks(3) {
            let name = three[0]
                .strip_prefix("# HELP ")
                .and_then(|rest| rest.split(' ').next())
                .expect("HELP");
            assert!(
                three[1].starts_with(&format!("# TYPE {name} ")),
                "{three:?}"
            );
            assert_eq!(
                name.ends_with("_total"),
                three[1].ends_with(" counter"),
                "{name}"
            );
            let value = three[2]
                .strip_prefix(name)
                .and_then(|rest| rest.rsplit(' ').next())
                .expect("a sample");
            value.parse::<f64>().expect("a number");
        }
    }

    #[test]
    fn the_page_lists_every_metric() {
        let page = include_str!("../../../docs/service.md");
        for (name, ..) in METRICS {
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}
