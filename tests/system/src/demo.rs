//! The demo: a box and an engineer's commands against it, each as a process of its own.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use nephrobox_link::cable::Quality;
use nephrobox_system::{Exe, Rig, file};

/// The bundled model, relative to the repository.
const MODEL: &str = "models/demo-resnet18.nbx";
/// The bundled scan of a phantom patient, relative to the repository.
const SCAN: &str = "models/sample/imaging.nii.gz";

const EXAMPLES: &str = "\
Examples:
  cargo demo
  cargo demo --out /tmp/demo

It starts a box on a pseudo-terminal with a folder of its own, makes a key, signs the bundled model, flashes it, sends the
bundled scan (a phantom that the project made itself; no patient is shown), and fetches report, pictures and what the
box's panel showed. Results of an earlier demo in the folder are replaced. For research use only.";

/// Shows the whole of Nephrobox on one machine. For research use only.
#[derive(Debug, Parser)]
#[command(name = "nephrobox-demo", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where everything goes.
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    pub(crate) out: PathBuf,
}

/// Shows it.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let begun = Instant::now();
    let (model, scan) = (file(MODEL)?, file(SCAN)?);
    let place = std::path::absolute(&args.out)?;
    let home = tempfile::tempdir()?;
    let screen = home.path().join("panel.png");
    let more = format!(
        "[panel]\ntargets = [{{ kind = \"png\", path = \"{}\" }}]\n",
        screen.display()
    );
    let exe = Exe(std::env::current_exe()?);
    let mut rig = Rig::build(exe, &home.path().join("demo"), Quality::default(), &more)?;
    let mut show = Show { out, rig: &mut rig };

    fs::create_dir_all(&place)?;
    let picture = |name: &str| place.join(format!("panel-{name}.png"));
    let signed = home.path().join("demo.nbx");
    let key = show.rig.key();

    show.says("A box starts, on a cable; it has no model yet, and a key that it trusts.")?;
    show.rig.start()?;
    drop(show.rig.client()?);
    show.tool(&["screenshot".into(), picture("1-without-a-model")])?;

    show.says(
        "The engineer signs the bundled model and flashes it; the box tries it on its own slices.",
    )?;
    show.tool(&[
        "sign".into(),
        model,
        "--key".into(),
        key,
        "--out".into(),
        signed.clone(),
    ])?;
    show.watching(&screen, &picture("2-flashing"), &["flash".into(), signed])?;
    show.tool(&["screenshot".into(), picture("3-ready")])?;

    show.says(
        "The clinic sends a scan over the line; the box segments it and sends back what it found.",
    )?;
    let send = [
        "send".into(),
        scan,
        "--out".into(),
        place.join("results"),
        "--force".into(),
    ];
    show.watching(&screen, &picture("4-working"), &send)?;
    show.tool(&["screenshot".into(), picture("5-result")])?;

    show.says("And that is how the box is:")?;
    show.tool(&["status".into()])?;
    show.tool(&["audit".into(), "--verify".into()])?;
    let seconds = begun.elapsed().as_secs_f64();
    writeln!(
        show.out,
        "\nAll of it took {seconds:.1} s. Report, label map and overlays: {}",
        place.join("results").display()
    )?;
    writeln!(
        show.out,
        "What the panel showed: {}",
        picture("*").display()
    )?;
    writeln!(show.out, "For research use only.")?;
    Ok(())
}

/// Says what happens and does it.
struct Show<'a> {
    out: &'a mut dyn Write,
    rig: &'a mut Rig,
}

impl Show<'_> {
    fn says(&mut self, words: &str) -> std::io::Result<()> {
        writeln!(self.out, "\n== {words}")?;
        self.out.flush()
    }

    /// Runs a command of the tools as a person would, and shows both.
    fn tool(&mut self, args: &[PathBuf]) -> Result<(), Box<dyn Error>> {
        let words: Vec<_> = args.iter().map(|arg| short(arg)).collect();
        writeln!(self.out, "$ nephroctl {}", words.join(" "))?;
        self.out.flush()?;
        let said = self.rig.tool(args)?;
        write!(self.out, "{said}")?;
        Ok(())
    }
}

impl Show<'_> {
    /// The same, and keeps what the panel showed in the middle of it.
    fn watching(
        &mut self,
        screen: &Path,
        picture: &Path,
        args: &[PathBuf],
    ) -> Result<(), Box<dyn Error>> {
        let over = AtomicBool::new(false);
        let (done, shown) = std::thread::scope(|scope| {
            let watching = scope.spawn(|| shown(screen, &over));
            let done = self.tool(args);
            over.store(true, Ordering::Relaxed);
            (done, watching.join())
        });
        done?;
        // A panic of that thread would be a fault of the demo, and has been told.
        let shown = shown.unwrap_or_default();
        if let Some(middle) = shown.get(shown.len() / 2) {
            fs::write(picture, middle)?;
        }
        Ok(())
    }
}

/// Every picture that the panel shows until it is over. It is replaced whole, so none is ever half.
fn shown(screen: &Path, over: &AtomicBool) -> Vec<Vec<u8>> {
    let mut shown: Vec<Vec<u8>> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        if let Ok(now) = fs::read(screen)
            && shown.last() != Some(&now)
        {
            shown.push(now);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    shown
}

/// A path as one would type it.
fn short(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here)
        .unwrap_or(path)
        .display()
        .to_string()
}
