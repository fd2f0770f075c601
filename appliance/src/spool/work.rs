//! How a scan is worked on, and how that ends. If the disk refuses, each call may be repeated.

use super::disk::{Disk, Place, WORK};
use super::record::Outcome;
use super::{ATTEMPTS, Inner, Scan, ScanId, Spool, SpoolError, Work};
use crate::record;
use crate::storage::Storage;

/// A scan that somebody worked on.
enum At<'a> {
    Work(&'a mut Scan),
    /// The call is a repetition: its first half has been brought to its end since.
    Ended(Outcome),
}

impl Inner {
    fn in_work(&mut self, id: ScanId) -> Result<At<'_>, SpoolError> {
        let scan = self.get(id)?;
        match (&scan.record.outcome, scan.place) {
            (Some(outcome), Place::Done | Place::Aside) => Ok(At::Ended(outcome.clone())),
            (_, Place::Queue) => Ok(At::Work(scan)),
            _ => Err(SpoolError::State {
                id,
                state: scan.state_name(),
            }),
        }
    }
}

impl<S: Storage> Spool<S> {
    /// The next scan for the worker. That an attempt began is on the disk before this returns; a scan that already had
    /// [`ATTEMPTS`] is set aside with its reason instead.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn next(&self) -> Result<Option<Work>, SpoolError> {
        self.with(|disk, inner| {
            loop {
                let mut scans = inner.scans.iter_mut();
                let waits = |scan: &Scan| {
                    let condemned = scan.record.erased_by.is_some();
                    scan.place == Place::Queue && !scan.working && !condemned
                };
                let Some((&id, scan)) = scans.find(|(_, scan)| waits(scan)) else {
                    return Ok(None);
                };
                if scan.record.attempts >= ATTEMPTS {
                    set_aside(disk, id, scan)?;
                    continue;
                }
                let mut record = scan.record.clone();
                record.attempts += 1;
                disk.save_record(Place::Queue, id, &record)?;
                let folder = format!("{WORK}/{id}");
                disk.remove(&folder)?;
                disk.make_folder(&folder)?;
                (scan.record, scan.working) = (record, true);
                let real = |path: String| {
                    let real = self.storage.real_path(&path);
                    real.unwrap_or_else(|| path.into())
                };
                return Ok(Some(Work {
                    id,
                    attempt: scan.record.attempts,
                    fast: scan.record.fast,
                    scan: real(Place::Queue.scan(id)),
                    results: real(format!("{folder}/results")),
                }));
            }
        })
    }

    /// Hands over the results that lie in [`Work::results`]. Results beyond what is set apart for them are refused, which
    /// the returned outcome says.
    ///
    /// # Errors
    /// When there is no whole result, or the disk refuses.
    pub fn finished(&self, id: ScanId) -> Result<Outcome, SpoolError> {
        self.with(|disk, inner| {
            let allowed = self.settings.results_bytes;
            let scan = match inner.in_work(id)? {
                At::Work(scan) => scan,
                At::Ended(outcome) => return Ok(outcome),
            };
            let made = format!("{WORK}/{id}/results");
            if !disk.is_whole(&made)? {
                return Err(SpoolError::NoResult(id));
            }
            let bytes = disk.results_bytes(&made)?;
            let outcome = if bytes > allowed {
                let reason = format!(
                    "The results take {bytes} bytes, and the box sets {allowed} apart for each scan; raise that limit."
                );
                Outcome::Refused { reason }
            } else {
                disk.adopt_results(id)?;
                Outcome::Finished
            };
            end(disk, id, scan, outcome.clone())?;
            Ok(outcome)
        })
    }

    /// Ends a scan that is itself unusable: an error report with this reason takes the place of results.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn failed(&self, id: ScanId, reason: &str) -> Result<(), SpoolError> {
        self.with(|disk, inner| {
            let At::Work(scan) = inner.in_work(id)? else {
                return Ok(());
            };
            let reason = record::tame_reason(reason);
            end(disk, id, scan, Outcome::Refused { reason })
        })
    }

    /// Notes that an attempt ended badly though the scan was not found to be unusable. After the last attempt the scan is
    /// set aside, and `true` returned.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn died(&self, id: ScanId, reason: &str) -> Result<bool, SpoolError> {
        self.with(|disk, inner| {
            let scan = match inner.in_work(id)? {
                At::Work(scan) => scan,
                At::Ended(outcome) => return Ok(matches!(outcome, Outcome::SetAside { .. })),
            };
            scan.working = false;
            scan.record.trouble = Some(record::tame_reason(reason));
            if scan.record.attempts >= ATTEMPTS {
                set_aside(disk, id, scan)?;
                return Ok(true);
            }
            disk.save_record(Place::Queue, id, &scan.record)?;
            disk.remove(&format!("{WORK}/{id}"))?;
            Ok(false)
        })
    }

    /// Gives a scan back unharmed: the attempt does not count, because the worker was asked to stop or its disk or device
    /// failed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn give_back(&self, id: ScanId) -> Result<(), SpoolError> {
        self.with(|disk, inner| {
            let At::Work(scan) = inner.in_work(id)? else {
                return Ok(());
            };
            if std::mem::take(&mut scan.working) {
                scan.record.attempts = scan.record.attempts.saturating_sub(1);
                disk.save_record(Place::Queue, id, &scan.record)?;
                disk.remove(&format!("{WORK}/{id}"))?;
            }
            Ok(())
        })
    }
}

/// Notes the outcome, then brings the scan to where it belongs; a start goes on from whatever was reached.
fn end<S: Storage>(
    disk: Disk<'_, S>,
    id: ScanId,
    scan: &mut Scan,
    outcome: Outcome,
) -> Result<(), SpoolError> {
    scan.working = false;
    scan.record.outcome = Some(outcome);
    // From now on its age counts anew.
    scan.record.age_from_s = None;
    disk.save_record(Place::Queue, id, &scan.record)?;
    scan.place = disk.settle(id, &scan.record)?;
    scan.results = disk.results_bytes(&scan.place.results(id))?;
    Ok(())
}

fn set_aside<S: Storage>(disk: Disk<'_, S>, id: ScanId, scan: &mut Scan) -> Result<(), SpoolError> {
    let how = scan.record.trouble.as_deref();
    let how = how.unwrap_or("the box went down while it worked on it");
    let reason = format!("The work on this scan broke off {ATTEMPTS} times; the last time: {how}");
    let reason = record::tame_reason(&reason);
    end(disk, id, scan, Outcome::SetAside { reason })
}
