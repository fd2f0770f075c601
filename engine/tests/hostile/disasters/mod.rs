//! Named disasters: signed packages, each wrong in one way, and the sentence that refuses it.

mod executors;
mod manifests;
mod programs;
mod raw;
mod tensors;

use nephrobox_engine::executor::Arithmetic;
use nephrobox_engine::package::Model;

use crate::forge::Parts;
use crate::road::{self, assert_little_memory, go};

/// A package and the sentence that it ends in.
struct Disaster {
    name: &'static str,
    package: Parts,
    /// The executor that refuses it; `None` if it is no model at all.
    with: Option<Arithmetic>,
    sentence: &'static str,
}

/// A package that is no model.
fn refused(name: &'static str, package: Parts, sentence: &'static str) -> Disaster {
    Disaster {
        name,
        package,
        with: None,
        sentence,
    }
}

#[test]
fn each_disaster_is_refused_in_its_words() {
    let all: Vec<Disaster> = [
        manifests::wrong(),
        tensors::wrong(),
        programs::wrong(),
        executors::refused(),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(all.len() >= 60, "{} disasters", all.len());
    let mut wrong = Vec::new();
    for Disaster {
        name,
        package,
        with,
        sentence,
    } in all
    {
        let package = package.signed();
        let why = go(&package, &[]).err().unwrap_or_else(|| {
            // The model is sound in itself, and it is for the executors to refuse it.
            let model = Model::from_bytes(&package).unwrap().model;
            let refusal = with.and_then(|arithmetic| road::refusal(model, arithmetic));
            refusal.map_or("it is taken".to_owned(), |error| error.to_string())
        });
        if !why.contains(sentence) {
            wrong.push(format!("{name}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_little_memory();
}
