//! What is wrong with the box at the moment, as panel, status page and link show it.

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

/// Declares the codes once, with name and whether the box takes no scans meanwhile.
macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident $name:literal $blocks:literal,)*) => {
        /// The kinds of faults. `docs/guides/clinic.md` tells people what to do about each.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum FaultCode {
            $($(#[$doc])* #[serde(rename = $name)] $code,)*
        }

        impl FaultCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The code as it is shown: stable, for programs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// Whether the box takes no scans because of it.
            #[must_use]
            pub const fn blocks(self) -> bool {
                match self { $(Self::$code => $blocks,)* }
            }
        }
    };
}

codes! {
    /// While there is no room for a scan that waits to come in.
    NoRoom "no_room" true,
    /// While the disk is fuller than it may be.
    DiskFull "disk_full" true,
    /// While the queue's disk refuses.
    SpoolDisk "spool_disk" true,
    /// While the audit log cannot be written.
    Audit "audit" true,
    /// After a start that found the audit log not to be what was written.
    AuditChain "audit_chain" false,
    /// While the slots' disk refuses.
    SlotsDisk "slots_disk" false,
    /// After a start that put in order what was left of a model's installation.
    SlotsRecovered "slots_recovered" false,
    /// After a model that was not taken into use or does not run any more; the report's warning has the same name.
    ModelFellBack "model_fell_back" false,
    /// While none of the confirmed models gets ready.
    ModelUnusable "model_unusable" false,
    /// While the serial port is not there.
    SerialPort "serial_port" false,
    /// While the disk of incoming series refuses.
    DicomDisk "dicom_disk" false,
    /// While no connection over the network can be taken.
    DicomDeaf "dicom_deaf" false,
    /// While the watched folder, or something in it, cannot be used.
    WatchedFolder "watched_folder" false,
    /// While a destination takes nothing.
    DestinationFailed "destination_failed" false,
    /// After a start that found damaged records of scans.
    RecordsMended "records_mended" false,
    /// After a start at which the disk did not give scans back.
    ScansUnread "scans_unread" false,
    /// While the worker cannot go on.
    WorkerTrouble "worker_trouble" false,
    /// While scans are kept longer than they should be.
    RetentionWaits "retention_waits" false,
    /// Once the panel could not be drawn.
    Panel "panel" false,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fault {
    /// What kind of fault it is.
    pub code: FaultCode,
    /// What is wrong and what to do.
    pub message: String,
}

impl Fault {
    /// A fault with its sentence.
    #[must_use]
    pub fn new(code: FaultCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Whether the box takes no scans because of it.
    #[must_use]
    pub const fn blocks(&self) -> bool {
        self.code.blocks()
    }
}

/// With `blocks`, which programs that read the box's state cannot tell from the code.
impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fault = to.serialize_struct("Fault", 3)?;
        fault.serialize_field("code", &self.code)?;
        fault.serialize_field("message", &self.message)?;
        fault.serialize_field("blocks", &self.blocks())?;
        fault.end()
    }
}

#[cfg(test)]
mod tests {
    use nephrobox_shared::report::WarningCode;

    use super::*;

    /// The clinic's page names every code in its table of faults, and no code that there is not.
    #[test]
    fn the_clinics_page_says_what_to_do_about_every_fault() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guides/clinic.md");
        let Ok(page) = std::fs::read_to_string(path) else {
            return println!("skipped: docs/guides/clinic.md is not here");
        };
        let table = page
            .lines()
            .skip_while(|line| !line.starts_with("| code | means |"))
            .skip(2)
            .take_while(|line| line.starts_with('|'));
        // The odd pieces between backticks are the codes.
        let cells = table.filter_map(|line| line.split('|').nth(1));
        let mut told: Vec<&str> = cells
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        let mut codes: Vec<&str> = FaultCode::ALL.iter().map(|code| code.name()).collect();
        told.sort_unstable();
        codes.sort_unstable();
        assert_eq!(told, codes);
    }

    /// Panel, page and report name the same thing in the same way.
    #[test]
    fn a_model_that_fell_back_is_called_the_same_in_a_report() {
        assert_eq!(
            FaultCode::ModelFellBack.name(),
            WarningCode::ModelFellBack.name()
        );
    }

    #[test]
    fn a_fault_says_in_json_whether_it_keeps_scans_out() {
        let fault = Fault::new(FaultCode::DiskFull, "no room is left");
        assert_eq!(
            serde_json::to_string(&fault).expect("JSON"),
            r#"{"code":"disk_full","message":"no room is left","blocks":true}"#
        );
    }
}
