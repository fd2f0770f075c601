//! `nephrobox-packaging`: writes what the packages hold beside the programs. See the library, and `packaging/build.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use nephrobox_packaging::{Made, completions, manual, notices, programs, write};

/// Writes manual pages, shell completions and licence notices for the packages.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Folder for them; each program gets one of its own in it.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// What `cargo metadata --format-version 1` printed.
    #[arg(long, value_name = "FILE", requires = "trees")]
    metadata: Option<PathBuf>,
    /// Folder with PROGRAM.tree, what `cargo tree` printed for each program; without it there are no notices.
    #[arg(long, value_name = "DIR", requires = "metadata")]
    trees: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    for program in programs() {
        let name = program.get_name();
        let folder = args.out.join(name);
        let put = |inner: &str, files: &[Made]| {
            let folder = folder.join(inner);
            write(&folder, files).map_err(|error| format!("{}: {error}", folder.display()))
        };
        put("man", &manual(&program))?;
        put("completions", &completions::completions(&program))?;
        if let (Some(metadata), Some(trees)) = (&args.metadata, &args.trees) {
            let tree = read(&trees.join(format!("{name}.tree")))?;
            let text = notices::notices(&tree, &read(metadata)?)
                .map_err(|error| format!("{name}: {error}"))?;
            let name = "third-party-notices".to_owned();
            put("doc", &[Made { name, text }])?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
