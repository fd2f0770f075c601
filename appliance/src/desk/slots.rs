//! The slots as a tool sees them, and the way back.

use nephrobox_link::message::{
    Code, Hash, ModelInfo, Refused, SlotInfo, SlotState, SlotsState, VerdictInfo, cut,
};

use super::refuse;
use crate::audit::{Deed, What, Who};
use crate::run::Core;
use crate::slots::{Identity, Listed, Stage};

/// How the slots are.
pub(super) fn state(core: &Core) -> Result<SlotsState, Refused> {
    let listing = core
        .slots
        .listing()
        .map_err(|error| refuse::slots(&error))?;
    let active = listing.iter().position(|listed| listed.in_use);
    let told = core.models.verdict().map(|verdict| VerdictInfo {
        hash: *verdict.package.hash.as_bytes(),
        good: verdict.is_good(),
        words: cut(&verdict.to_string()),
    });
    let verdict = told.or_else(|| known(&listing));
    Ok(SlotsState {
        active: active.and_then(|active| u8::try_from(active).ok()),
        slots: listing.map(|listed| info(&listed)),
        verdict,
    })
}

fn info(listed: &Listed) -> SlotInfo {
    let mut info = SlotInfo {
        state: SlotState::Empty,
        model: None,
        received: listed.receiving.map_or(0, |(received, _)| received),
        reason: None,
    };
    if let Some((package, stage)) = &listed.package {
        info.model = Some(ModelInfo {
            name: cut(&package.name),
            version: package.version,
            hash: *package.hash.as_bytes(),
        });
        info.state = match stage {
            Stage::Written => SlotState::Written,
            Stage::Trial { .. } => SlotState::Trial,
            Stage::Confirmed => SlotState::Confirmed,
            Stage::Bad { reason } => {
                info.reason = Some(cut(reason));
                SlotState::Bad
            }
        };
    }
    info
}

/// The last verdict as far as the slots tell it, for a tool whose box has started again while it waited.
fn known(listing: &[Listed; 2]) -> Option<VerdictInfo> {
    let packages = || {
        listing
            .iter()
            .filter_map(|listed| Some((listed, listed.package.as_ref()?)))
    };
    let of = |package: &Identity, good: bool, words: String| VerdictInfo {
        hash: *package.hash.as_bytes(),
        good,
        words: cut(&words),
    };
    let bad = packages().find_map(|(_, (package, stage))| match stage {
        Stage::Bad { reason } => {
            let words = format!("{} is not used: {reason}", package.title());
            Some(of(package, false, words))
        }
        _ => None,
    });
    bad.or_else(|| {
        let (_, (package, _)) = packages().find(|(listed, _)| listed.in_use)?;
        Some(of(package, true, format!("{} is in use", package.title())))
    })
}

/// Goes back from the model with hash `from`. Asked again it does nothing more.
pub(super) fn rollback(core: &Core, line: &str, from: &Hash) -> Result<(), Refused> {
    let listing = core
        .slots
        .listing()
        .map_err(|error| refuse::slots(&error))?;
    let of = |listed: &Listed| {
        let (package, stage) = listed.package.clone()?;
        Some((listed.in_use, package, stage))
    };
    let slots: Vec<_> = listing.iter().filter_map(of).collect();
    let Some((in_use, ..)) = slots
        .iter()
        .find(|(_, package, _)| package.hash.as_bytes() == from)
    else {
        return Err(Refused::new(
            Code::Unknown,
            "the box does not have the model that is to be left; see nephroctl slots",
        ));
    };
    let on_its_way = slots
        .iter()
        .any(|(in_use, _, stage)| !in_use && matches!(stage, Stage::Written | Stage::Trial { .. }));
    if !in_use || on_its_way {
        return Ok(());
    }
    let package = core
        .slots
        .rollback()
        .map_err(|error| refuse::slots(&error))?;
    tracing::info!(line, to = package.title(), "going back to an earlier model");
    let noted = core.ledger.note(&Deed {
        who: Who::Source(line.into()),
        what: What::RolledBack,
        scan: None,
        hash: Some(package.hash),
    });
    // It is on its way in any case; the fault is shown.
    noted.map_err(|error| refuse::audit(&error))?;
    core.bells.models();
    core.bells.upkeep();
    Ok(())
}
