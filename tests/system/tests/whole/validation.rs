//! A box in the field, validated over its line: the demo model in integers, on pieces of its sample scan.

use std::fs;

use crate::field::Field;
use crate::support::{Home, active};

/// The package's scores were taken by this machine's executor on the same cases, so the box has to give them to the last voxel.
#[test]
fn a_box_that_runs_the_integers_passes_with_the_workstations_label_maps() {
    let field = Field::in_integers();
    let args = field.args();
    let mut home = Home::new();
    home.rig.start().expect("a box");
    drop(home.rig.client().expect("a line"));
    let key = home.rig.key();
    let model = args.model.as_os_str();
    home.rig
        .tool(["sign".as_ref(), model, "--key".as_ref(), key.as_os_str()])
        .expect("signed");
    home.rig
        .tool(["flash".as_ref(), model])
        .expect("a model that passes its self-test");

    let validated = home.rig.tool([
        "validate".as_ref(),
        "--data".as_ref(),
        args.data[0].as_os_str(),
        "--split".as_ref(),
        "test".as_ref(),
        "--model".as_ref(),
        model,
        "--out".as_ref(),
        args.out.as_os_str(),
    ]);
    let words = validated.expect("PASS");
    assert!(words.contains("PASS"), "{words}");
    let json = fs::read(args.out.join("validation.json")).expect("a report");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["verdict"], "PASS", "{json:#}");
    assert!(args.out.join("validation.html").is_file());
    assert!(active(&mut home.rig.client().expect("a line")).is_some());
}
