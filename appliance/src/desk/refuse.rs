//! Errors of the box's parts as refusals on the line: a stable code, and the part's own words.

use nephrobox_link::message::{Code, Refused};

use crate::audit::AuditError;
use crate::export::ExportError;
use crate::failure::sentence;
use crate::run::EraseError;
use crate::slots::{Refusal as PackageRefusal, SlotsError};
use crate::spool::{NoScanId, Refusal, SpoolError};

pub(super) fn nothing_announced() -> Refused {
    Refused::new(
        Code::BadRequest,
        "nothing is being received here; announce the object first",
    )
}

pub(super) fn scan_id(error: NoScanId) -> Refused {
    let words = format!("{error}; nephroctl scans lists those that are here");
    Refused::new(Code::BadRequest, &words)
}

pub(super) fn audit(error: &AuditError) -> Refused {
    Refused::new(Code::Disk, &sentence(error))
}

pub(super) fn erase(error: &EraseError) -> Refused {
    match error {
        EraseError::Spool(error) => spool(error),
        EraseError::Audit(error) => audit(error),
    }
}

pub(super) fn export(error: &ExportError) -> Refused {
    let code = match error {
        ExportError::Spool(error) => return spool(error),
        ExportError::NoReport(_) | ExportError::Name(_) => Code::Unknown,
        ExportError::Key(_)
        | ExportError::Read { .. }
        | ExportError::Report
        | ExportError::Labels(_)
        | ExportError::Picture(_)
        | ExportError::Object(_) => Code::Disk,
    };
    Refused::new(code, &sentence(error))
}

/// A fault of the program.
pub(super) fn internal(error: &dyn std::error::Error) -> Refused {
    let words = format!(
        "{}; report this, it is a fault in nephrobox",
        sentence(error)
    );
    Refused::new(Code::Internal, &words)
}

pub(super) fn admission(refusal: Refusal) -> Refused {
    let code = match refusal {
        Refusal::Empty | Refusal::TooLarge { .. } => Code::Size,
        Refusal::Full { .. } => Code::Full,
    };
    Refused::new(code, &refusal.to_string())
}

pub(super) fn spool(error: &SpoolError) -> Refused {
    let code = match error {
        SpoolError::Storage { .. }
        | SpoolError::Newer { .. }
        | SpoolError::Unread(_)
        | SpoolError::Numbers => Code::Disk,
        SpoolError::Unknown(_) | SpoolError::Lost(_) => Code::Unknown,
        SpoolError::State { .. }
        | SpoolError::Order { .. }
        | SpoolError::TooMany { .. }
        | SpoolError::Short { .. }
        | SpoolError::Destination(_) => Code::BadRequest,
        SpoolError::Held { .. } => Code::Busy,
        SpoolError::Hash(_) => Code::Hash,
        SpoolError::NoResult(_) => Code::Internal,
    };
    Refused::new(code, &sentence(error))
}

pub(super) fn slots(error: &SlotsError) -> Refused {
    let code = match error {
        SlotsError::Refused(refusal) => return package(refusal),
        SlotsError::Storage { .. } => Code::Disk,
        SlotsError::NoReception => Code::Unknown,
        SlotsError::Order { .. } | SlotsError::TooMany { .. } | SlotsError::Short { .. } => {
            Code::BadRequest
        }
        SlotsError::NoWayBack { .. } => Code::NoModel,
        SlotsError::Busy(_) => Code::Busy,
        SlotsError::File { .. } | SlotsError::NotAPackage { .. } => Code::Package,
    };
    Refused::new(code, &sentence(error))
}

pub(super) fn package(refusal: &PackageRefusal) -> Refused {
    let code = match refusal {
        PackageRefusal::Size(_) => Code::Size,
        PackageRefusal::Room { .. } => Code::Full,
        PackageRefusal::Format(_) | PackageRefusal::NoSelfTest => Code::Incompatible,
        PackageRefusal::Signature(_) | PackageRefusal::Retired(_) => Code::Signature,
        PackageRefusal::Version { .. } | PackageRefusal::Permit(_) => Code::Version,
        PackageRefusal::Busy(_) => Code::Busy,
        PackageRefusal::Hash => Code::Hash,
        PackageRefusal::Announced(_) | PackageRefusal::Model(_) => Code::Package,
    };
    Refused::new(code, &sentence(refusal))
}
