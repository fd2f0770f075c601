//! Draws the page of reports on a phantom into a folder, to look at: `cargo run -p nephrobox --example sheet -- DIR`.

use std::path::Path;
use std::time::Instant;

use nephrobox::{fhir, page, sheet};

#[path = "../tests/support/body.rs"]
mod body;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = std::env::args()
        .nth(1)
        .ok_or("name a folder for the pages")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let now = body::Patient::NOW;
    let mut anonymous = body::Patient::EMPTY.report();
    anonymous.subject = None;
    anonymous.confidence = None;
    for (name, patient, report) in [
        ("normal", now, now.report_with_change()),
        ("flagged", now, body::flagged()),
        ("overfull", now, body::overfull()),
        ("empty", body::Patient::EMPTY, anonymous),
    ] {
        let pictures = patient.pictures(&report);
        let began = Instant::now();
        let sheet = sheet::draw(&report, &pictures)?;
        println!(
            "{name}: {:.2} s, PNG {} kB, PDF {} kB",
            began.elapsed().as_secs_f64(),
            sheet.png.len() / 1000,
            sheet.pdf.len() / 1000
        );
        std::fs::write(folder.join(format!("{name}.png")), &sheet.png)?;
        std::fs::write(folder.join(format!("{name}.pdf")), &sheet.pdf)?;
        std::fs::write(folder.join(format!("{name}.txt")), page::write(&report))?;
        std::fs::write(
            folder.join(format!("{name}.fhir.json")),
            fhir::write(&report),
        )?;
    }
    Ok(())
}
