//! Free memory of the machine, as Linux tells it in `/proc` and `/sys/fs/cgroup`.
//!
//! A crate for this exists (`sysinfo`); of its numbers we would use two, and its "free" of a control
//! group counts cached files as taken, which a training set in mapped memory mostly is.

use std::fs;
use std::path::Path;

/// Bytes this process may still take: what the machine has available, or less where a control group
/// (a container, a batch system's job) limits it. `None` where the system does not say.
pub fn free_memory() -> Option<u64> {
    free_under(Path::new("/"))
}

/// The same with the files of `/proc` and `/sys` under another root.
fn free_under(root: &Path) -> Option<u64> {
    let available = value(&root.join("proc/meminfo"), "MemAvailable:")? * 1024;
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limited = groups.lines().flat_map(|line| {
        // `NUMBER:CONTROLLERS:PATH`; version 2 has one line without controllers.
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
        let files = match controllers {
            "" => Some(&VERSION_2),
            list if list.split(',').any(|c| c == "memory") => Some(&VERSION_1),
            _ => None,
        };
        files
            .into_iter()
            .flat_map(|files| files.free(root, path))
            .collect::<Vec<_>>()
    });
    Some(limited.fold(available, u64::min))
}

/// Where a version of control groups says what.
struct Files {
    base: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// Cached file pages that give way at once, in `memory.stat`.
    cached: &'static str,
}

const VERSION_2: Files = Files {
    base: "sys/fs/cgroup",
    limit: "memory.max",
    usage: "memory.current",
    cached: "inactive_file",
};

const VERSION_1: Files = Files {
    base: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cached: "total_inactive_file",
};

impl Files {
    /// What each group from `path` up to the root leaves free; groups that set no limit say `max` or a
    /// number beyond any machine. In a container the path may be the host's: what is not there is skipped.
    fn free(&self, root: &Path, path: &str) -> Vec<u64> {
        let inside = Path::new(path.trim_start_matches('/'));
        let number =
            |path: &Path| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
        let group = |group: &Path| {
            let folder = root.join(self.base).join(group);
            let limit = number(&folder.join(self.limit))?;
            let used = number(&folder.join(self.usage))?;
            let cached = value(&folder.join("memory.stat"), self.cached).unwrap_or(0);
            Some(limit.saturating_sub(used.saturating_sub(cached)))
        };
        inside.ancestors().filter_map(group).collect()
    }
}

/// The number behind `key` in a file of lines `KEY NUMBER ...`.
pub(crate) fn value(path: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(key)).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal: 24684084 kB\nMemFree: 100 kB\nMemAvailable:   20000000 kB\n";

    fn machine(files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        free_under(root.path())
    }

    #[test]
    fn without_a_limit_it_is_what_the_kernel_calls_available() {
        assert_eq!(machine(&[]), None);
        let files = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/user.slice\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "5000\n"),
        ];
        assert_eq!(machine(&files), Some(20_000_000 * 1024));
    }

    #[test]
    fn a_limit_of_any_group_above_counts_and_cached_files_give_way() {
        let job = "sys/fs/cgroup/batch/job";
        let files = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/batch/job\n"),
            (&format!("{job}/memory.max"), "max\n"),
            (&format!("{job}/memory.current"), "900\n"),
            ("sys/fs/cgroup/batch/memory.max", "10000\n"),
            ("sys/fs/cgroup/batch/memory.current", "4000\n"),
            (
                "sys/fs/cgroup/batch/memory.stat",
                "anon 500\ninactive_file 3000\n",
            ),
        ];
        assert_eq!(machine(&files), Some(9000));
    }

    #[test]
    fn version_1_in_a_container_whose_path_is_the_hosts() {
        let memory = "sys/fs/cgroup/memory";
        let files = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "5:cpu:/\n4:cpuset,memory:/docker/f00\n"),
            (&format!("{memory}/memory.limit_in_bytes"), "8000"),
            (&format!("{memory}/memory.usage_in_bytes"), "3000"),
            (&format!("{memory}/memory.stat"), "total_inactive_file 0\n"),
        ];
        assert_eq!(machine(&files), Some(5000));
    }
}
