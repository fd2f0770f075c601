//! Debian's Chromium without a window: pages as it understands them, and pictures of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use image::RgbImage;

/// Long enough for a browser to start on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// The browser, by its program.
pub(crate) struct Browser(PathBuf);

impl Browser {
    /// The browser of this machine; `None`, with a word about it, if there is none.
    pub(crate) fn find() -> Option<Self> {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&folders)
            .map(|folder| folder.join("chromium"))
            .find(|program| program.is_file());
        if found.is_none() {
            eprintln!("skipped: chromium is not installed");
        }
        found.map(Self)
    }

    /// A page as the browser has it after loading.
    pub(crate) async fn dom(&self, url: &str) -> String {
        self.run(&["--dump-dom"], url).await
    }

    /// A picture of a page in a window of this size.
    pub(crate) async fn picture(
        &self,
        url: &str,
        to: &Path,
        (width, height): (u32, u32),
        dark: bool,
    ) -> RgbImage {
        let picture = format!("--screenshot={}", to.display());
        let size = format!("--window-size={width},{height}");
        let mut options = vec!["--hide-scrollbars", &picture, &size];
        if dark {
            options.push("--blink-settings=preferredColorScheme=0");
        }
        self.run(&options, url).await;
        image::open(to).expect("a picture").into_rgb8()
    }

    /// Runs it, and fails if the page made it complain on its console: of a missing file, or of what the policy forbids. Returns what it printed.
    async fn run(&self, options: &[&str], url: &str) -> String {
        let home = tempfile::tempdir().expect("a folder");
        let [out, log] = ["out", "log"].map(|name| home.path().join(name));
        let file = |path| File::create(path).expect("a file");
        let mut browser = Command::new(&self.0)
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-dev-shm-usage", "--no-first-run"])
            .arg("--enable-logging=stderr")
            .arg(format!("--user-data-dir={}", home.path().display()))
            .args(options)
            .arg(url)
            .stdout(file(&out))
            .stderr(file(&log))
            .spawn()
            .expect("the browser starts");
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = browser.try_wait().expect("a child") {
                break status;
            }
            if Instant::now() > until {
                let _ = browser.kill();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let read = |path| String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned();
        let said = read(&log);
        assert!(status.success(), "{url}: {status}: {said}");
        let complaints: Vec<_> = said
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .collect();
        assert!(complaints.is_empty(), "{url}: {complaints:#?}");
        read(&out)
    }
}
