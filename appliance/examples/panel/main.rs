//! Writes every screen of the panel as a PNG file, to look at, and says how long each took.
//!
//!     cargo run -p nephrobox --example panel -- FOLDER

mod states;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use nephrobox::panel::{Panel, View};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("out/panel"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for (name, state) in states::all()? {
        let path = folder.join(format!("{name}.png"));
        let began = Instant::now();
        let png = Panel::screenshot(&View::of(&state))?;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        std::fs::write(&path, &png)?;
        println!(
            "{}  {ms:.0} ms, {:.0} kB",
            path.display(),
            png.len() as f64 / 1e3
        );
    }
    Ok(())
}
