//! Array-job scripts for a Slurm cluster: the scheduler itself is theirs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::plan::{Choose, Plan};
use super::{Experiment, ExperimentError, write};

/// Writes `slurm.sh`, an array over all jobs, into `folder`. Where results decide what comes next, an array is written for
/// each experiment instead, and `slurm-submit.sh` that hands them in one after the other. `options` are `#SBATCH` lines.
/// Returns the file to hand in.
pub fn write_scripts(
    plan: &Plan,
    folder: &Path,
    options: &[String],
) -> Result<PathBuf, ExperimentError> {
    if plan.choose == Choose::Paper {
        let path = folder.join("slurm.sh");
        let script = array(plan.last_number(), "all", options, 0);
        write(&path, &script)?;
        return Ok(path);
    }
    let jobs: Vec<(Experiment, usize)> = plan
        .slots(&|_| None)
        .into_iter()
        .enumerate()
        .map(|(index, ((experiment, _, _), _))| (experiment, index + 1))
        .collect();
    let mut submit = String::from(
        "#!/bin/bash\n# Hands in the experiments one after the other; each waits until the one before it has ended.\n\
         set -euo pipefail\nwait_for=\"\"\n",
    );
    for part in &plan.parts {
        let numbers: Vec<usize> = jobs
            .iter()
            .filter(|(e, _)| *e == part.experiment)
            .map(|(_, n)| *n)
            .collect();
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            continue;
        };
        let name = format!("slurm-{}.sh", part.experiment);
        let count = last - first + 1;
        let script = array(count, part.experiment.name(), options, first - 1);
        write(&folder.join(&name), &script)?;
        let _ = writeln!(
            submit,
            "id=$(sbatch --parsable $wait_for {name}); echo \"{}: $id\"; wait_for=\"--dependency=afterany:${{id%%;*}}\"",
            part.experiment
        );
    }
    let path = folder.join("slurm-submit.sh");
    write(&path, &submit)?;
    Ok(path)
}

/// A script for `count` jobs, whose numbers are those of the tasks, from 1, and `offset`.
fn array(count: usize, name: &str, options: &[String], offset: usize) -> String {
    let extra: String = options.iter().flat_map(|o| ["#SBATCH ", o, "\n"]).collect();
    let job = if offset == 0 {
        "$SLURM_ARRAY_TASK_ID".to_owned()
    } else {
        format!("$((SLURM_ARRAY_TASK_ID + {offset}))")
    };
    format!(
        "#!/bin/bash\n\
         # From the folder this file lies in: sbatch {file}\n\
         # Hand it in again for what a time limit or a failure left over: finished jobs end at once, killed ones go on.\n\
         #SBATCH --job-name=nephrotrain-{name}\n\
         #SBATCH --array=1-{count}\n\
         #SBATCH --output=slurm-%A-%a.out\n\
         #SBATCH --requeue\n\
         {extra}\
         cd \"${{SLURM_SUBMIT_DIR:-.}}\" || exit 1\n\
         exec \"${{NEPHROTRAIN:-nephrotrain}}\" experiments run . --job \"{job}\"\n",
        file = if name == "all" {
            "slurm.sh".to_owned()
        } else {
            format!("slurm-{name}.sh")
        },
    )
}
