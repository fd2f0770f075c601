//! Whether a package may be installed: trust, version and compatibility, by the sender's words before it is written and by its own after.

use nephrobox_engine::package::{MAX_FILE_BYTES, Model};
use nephrobox_shared::package::permit;
use nephrobox_shared::package::{
    MAJOR, OLDEST, PackageError, PackageView, PublicKey, SignatureError, signing,
};

use super::Refusal;
use super::types::{Announced, Identity, Settings, identity};

/// What can be refused by the sender's words alone.
pub(super) fn announced(
    said: &Announced,
    running: Option<u64>,
    settings: &Settings,
) -> Result<(), Refusal> {
    if !(1..=MAX_FILE_BYTES).contains(&said.package.bytes) {
        return Err(Refusal::Size(said.package.bytes));
    }
    if !(OLDEST..=MAJOR).contains(&said.format) {
        return Err(Refusal::Format(said.format));
    }
    let key = said.package.key.ok_or(SignatureError::Unsigned)?;
    let among = |keys: &[PublicKey]| keys.iter().any(|trusted| trusted.id() == key);
    if !among(&settings.keys) {
        return Err(if among(&settings.retired_keys) {
            Refusal::Retired(key)
        } else {
            SignatureError::UnknownKey { key }.into()
        });
    }
    version(&said.package, said.permit.as_deref(), running, settings)
}

/// Whether the rule that versions only rise lets a package in, or a permit does.
fn version(
    package: &Identity,
    permit: Option<&[u8]>,
    running: Option<u64>,
    settings: &Settings,
) -> Result<(), Refusal> {
    let Some(running) = running.filter(|&running| package.version <= running) else {
        return Ok(());
    };
    let offered = package.version;
    let permit = permit.ok_or(Refusal::Version { offered, running })?;
    permit::check(permit, package.hash.as_bytes(), running, &settings.keys)?;
    Ok(())
}

/// Everything else, once the package is here whole.
pub(super) fn whole(
    file: Vec<u8>,
    said: &Announced,
    running: Option<u64>,
    settings: &Settings,
) -> Result<Identity, Refusal> {
    if blake3::hash(&file) != said.blake3 {
        return Err(Refusal::Hash);
    }
    let model = |error: PackageError| Refusal::Model(error.into());
    let view = PackageView::open(&file).map_err(model)?;
    let package = identity(&view).map_err(model)?;
    if let Err(error) = signing::verify(&view, &settings.keys) {
        let retired = signing::verify(&view, &settings.retired_keys);
        return Err(retired.map_or(error.into(), Refusal::Retired));
    }
    let found = &package;
    for (what, same) in [
        ("version", found.version == said.package.version),
        ("hash", found.hash == said.package.hash),
        // Not every sender says a name; it decides nothing.
        (
            "name",
            said.package.name.is_empty() || found.name == said.package.name,
        ),
        ("key", found.key == said.package.key),
    ] {
        if !same {
            return Err(Refusal::Announced(what));
        }
    }
    version(&package, said.permit.as_deref(), running, settings)?;
    let loaded = Model::from_vec(file)?;
    if loaded.model.manifest().self_test.is_empty() && !settings.allow_without_self_test {
        return Err(Refusal::NoSelfTest);
    }
    Ok(package)
}

/// Whether an installed package may run: it is what was installed, and a key that is trusted or was until it was retired has signed it.
pub(super) fn installed(file: &[u8], settings: &Settings) -> Result<Identity, Unfit> {
    let view = PackageView::open(file).map_err(Unfit::Damaged)?;
    let package = identity(&view).map_err(Unfit::Damaged)?;
    signing::verify(&view, &settings.all_keys())
        .map_err(|error| Unfit::Untrusted(package.clone(), error))?;
    Ok(package)
}

/// Why an installed package may not run.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It is no package any more.
    Damaged(PackageError),
    /// It is whole, and no key vouches for it.
    Untrusted(Identity, SignatureError),
}
