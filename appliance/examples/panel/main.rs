//! Writes every screen of the panel as a PNG file, to look at.
//!
//!     cargo run -p nephrobox --example panel -- FOLDER

mod states;

use std::error::Error;
use std::path::PathBuf;

use nephrobox::panel::{Panel, View};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("out/panel"), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for (name, state) in states::all()? {
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, Panel::screenshot(&View::of(&state))?)?;
        println!("{}", path.display());
    }
    Ok(())
}
