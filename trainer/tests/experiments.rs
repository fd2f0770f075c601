//! The paper's experiments in small, with the real program: plan, run with a kill in the middle, run again, collect.
#![cfg(unix)]

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

mod support;

/// `nephrotrain` with `args`, its output in text.
fn nephrotrain(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nephrotrain"));
    command.args(args).stdin(Stdio::null());
    command
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[track_caller]
fn ends_with(code: i32, mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{command:?}\n{}",
        text(&output)
    );
    text(&output)
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(
            begun.elapsed() < Duration::from_mins(2),
            "{} does not come",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A metric of the runs in percent, from their metrics.json.
fn metric(jobs: &[PathBuf], split: &str, class: &str, name: &str) -> Vec<f64> {
    let of = |job: &PathBuf| {
        let file =
            fs::read_to_string(job.join(format!("run/evaluation-{split}/metrics.json"))).unwrap();
        let json: serde_json::Value = serde_json::from_str(&file).unwrap();
        100.0 * json["scores"]["paper"][class][name].as_f64().unwrap()
    };
    jobs.iter().map(of).collect()
}

#[test]
fn from_a_plan_over_a_kill_and_a_failure_to_the_page() {
    let root = tempfile::tempdir().unwrap();
    let data = support::prepared(root.path());
    let exp = root.path().join("exp");
    let at = exp.to_str().unwrap().to_owned();
    let plan = [
        "experiments",
        "plan",
        "--data",
        data.to_str().unwrap(),
        "--out",
        &at,
        "--encoder",
        "resnet18",
        "--repeats",
        "2",
        "--only",
        "augmentation,loss,final",
        "--values",
        "augmentation=p75",
        "--values",
        "loss=dice",
        "--epochs",
        "4",
        "--final-epochs",
        "1",
        "--batch",
        "6",
        "--lr",
        "0.001",
        "--scheduler",
        "slurm",
    ];
    let said = ends_with(0, nephrotrain(&plan));
    assert!(
        said.contains("4 jobs") && said.contains("as 1, as 2"),
        "{said}"
    );
    let again = ends_with(1, nephrotrain(&plan));
    assert!(again.contains("is there already"), "{again}");
    let job = |name: &str| exp.join("jobs").join(name);
    let jobs = [
        "001-augmentation-p75-r1",
        "002-augmentation-p75-r2",
        "003-final-final-r1",
        "004-final-final-r2",
    ]
    .map(job);

    // Nothing is finished, and that is a page too.
    let said = ends_with(0, nephrotrain(&["experiments", "collect", &at]));
    assert!(said.contains("0 runs finished, 4 missing"), "{said}");

    // Killed hard, child and all, after the first of job 1's epochs.
    let mut running = nephrotrain(&["experiments", "run", &at, "--device", "cpu"])
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&jobs[0].join("run/last.safetensors"));
    // While someone has it, nobody else takes it.
    let said = ends_with(
        3,
        nephrotrain(&["experiments", "run", &at, "--device", "cpu", "--job", "1"]),
    );
    assert!(said.contains("worked on elsewhere"), "{said}");
    let group = format!("-{}", running.id());
    assert!(
        Command::new("kill")
            .args(["-9", "--", &group])
            .status()
            .unwrap()
            .success()
    );
    running.wait().unwrap();
    // Its child is nobody's to wait for; it is gone when it lets go of the lock.
    let lock = fs::File::open(jobs[0].join("lock")).unwrap();
    lock.lock().unwrap();
    drop(lock);
    assert!(
        !jobs[0].join("done.toml").exists(),
        "the kill came too late to prove anything"
    );

    // Job 3 cannot work; the others are done all the same.
    let settings = fs::read_to_string(jobs[2].join("config.toml")).unwrap();
    fs::write(
        jobs[2].join("config.toml"),
        settings.replace("\"dice\"", "\"nonsense\""),
    )
    .unwrap();
    let said = ends_with(
        1,
        nephrotrain(&["experiments", "run", &at, "--device", "cpu", "--jobs", "2"]),
    );
    assert!(
        said.contains("001-augmentation-p75-r1 goes on, attempt 2"),
        "{said}"
    );
    assert!(said.contains("3 finished, 1 failed"), "{said}");
    let kept = fs::read_to_string(jobs[2].join("attempts.toml")).unwrap();
    assert!(kept.contains("nonsense"), "{kept}");
    let said = ends_with(0, nephrotrain(&["experiments", "collect", &at]));
    assert!(
        said.contains("003-final-final-r1: failed, attempt 1"),
        "{said}"
    );
    assert!(
        fs::read_to_string(exp.join("results/index.html"))
            .unwrap()
            .contains("003-final-final-r1")
    );

    // Mended and called as the cluster would: the script runs the job, and what is finished ends at once.
    fs::write(jobs[2].join("config.toml"), settings).unwrap();
    for task in ["3", "1"] {
        let mut slurm = Command::new("bash");
        slurm
            .arg("slurm.sh")
            .current_dir(&exp)
            .env("SLURM_ARRAY_TASK_ID", task);
        slurm.env("NEPHROTRAIN", env!("CARGO_BIN_EXE_nephrotrain"));
        let said = ends_with(0, slurm);
        assert!(said.contains("1 finished, 0 failed"), "{said}");
    }

    let out = root.path().join("results");
    let said = ends_with(
        0,
        nephrotrain(&[
            "experiments",
            "collect",
            &at,
            "--out",
            out.to_str().unwrap(),
        ]),
    );
    assert!(said.contains("4 runs finished, 0 missing"), "{said}");
    let page = fs::read_to_string(out.join("index.html")).unwrap();
    for (jobs, split) in [(&jobs[..2], "validation"), (&jobs[2..], "test")] {
        let values = metric(jobs, split, "background", "recall");
        let (mean, half) = (
            f64::midpoint(values[0], values[1]),
            (values[0] - values[1]).abs() / 2.0,
        );
        // The population deviation of two values is half their distance.
        let cell = format!("<b>{mean:.1} ±{half:.1}</b><br><i>99.9 ±0");
        assert!(page.contains(&cell), "{cell}");
    }
    assert!(page.contains("the very runs of augmentation 75 %"));
    assert!(
        !page.contains("http://")
            || page.matches("http://").count() == page.matches("http://www.w3.org").count()
    );
    for n in 1..=7 {
        for extension in ["svg", "png"] {
            assert!(
                fs::metadata(out.join(format!("figure-{n}.{extension}")))
                    .unwrap()
                    .len()
                    > 500
            );
        }
        assert!(page.contains(&format!("id=\"figure-{n}\"")));
    }
    for n in 2..=6 {
        assert!(
            fs::read_to_string(out.join(format!("table-{n}.md")))
                .unwrap()
                .contains(&format!("Table {n}"))
        );
        let csv = fs::read_to_string(out.join(format!("table-{n}.csv"))).unwrap();
        let fields: std::collections::BTreeSet<_> =
            csv.lines().map(|l| l.split(',').count()).collect();
        assert_eq!(fields.len(), 1, "table {n}");
    }
    // Other data than were planned for are refused before any work.
    fs::write(
        data.join("split.toml"),
        fs::read_to_string(data.join("split.toml"))
            .unwrap()
            .replace("case_00000", "case_00009")
            .replace("case_00001", "case_00000")
            .replace("case_00009", "case_00001"),
    )
    .unwrap();
    let said = ends_with(1, nephrotrain(&["experiments", "run", &at]));
    assert!(
        said.contains("planned for") || said.contains("split"),
        "{said}"
    );
}
