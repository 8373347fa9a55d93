//! The kernel's files with load figures.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::parse;

/// The control groups of the process, innermost first, and `/proc`.
#[derive(Debug)]
pub(super) struct Files {
    proc: PathBuf,
    groups: Vec<PathBuf>,
}

/// The number of files that could not be read or parsed.
#[derive(Debug, Default)]
pub(super) struct Misses(pub(super) u64);

impl Misses {
    /// The complete text of a file. A missing file is not counted: kernels and containers differ.
    fn text(&mut self, path: &Path) -> Option<String> {
        match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.0 += u64::from(error.kind() != io::ErrorKind::NotFound);
                None
            }
        }
    }

    /// Parses a file that must have a value.
    fn read<T>(&mut self, path: &Path, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let read = parse(&self.text(path)?);
        self.0 += u64::from(read.is_none());
        read
    }

    /// Parses a file with a limit; `max` stands for no limit.
    fn limit<T>(&mut self, path: &Path, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(path)?;
        let limit = parse(&text);
        self.0 += u64::from(limit.is_none() && !text.starts_with("max"));
        limit
    }
}

impl Files {
    /// Finds the files below `root`, which is `/` except in tests.
    pub(super) fn below(root: &Path, misses: &mut Misses) -> Self {
        let proc = root.join("proc");
        let mount = root.join("sys/fs/cgroup");
        // A hybrid system mounts version 2 beside the controllers of version 1.
        let mount = match mount.join("unified") {
            unified if unified.is_dir() => unified,
            _ => mount,
        };
        let own = misses.text(&proc.join("self/cgroup"));
        let path = own.as_deref().and_then(parse::cgroup_path);
        // In a container the path may be the host's and not exist: then the mount is the group
        // itself.
        let inner = path
            .filter(|path| !path.split('/').any(|part| part == ".."))
            .map(|path| mount.join(path))
            .filter(|inner| inner.is_dir())
            .unwrap_or_else(|| mount.clone());
        let groups = inner
            .ancestors()
            .take_while(|group| group.starts_with(&mount))
            .map(Path::to_path_buf)
            .collect();
        Self { proc, groups }
    }

    /// For each group with a CPU quota: the quota in processors, and the microseconds used so far.
    pub(super) fn quotas(&self, misses: &mut Misses) -> Vec<Option<(f64, u64)>> {
        let quota = |group: &PathBuf| {
            let quota = misses.limit(&group.join("cpu.max"), parse::cpu_max)?;
            let used = misses.read(&group.join("cpu.stat"), |text| {
                parse::stat(text, "usage_usec")
            })?;
            Some((quota, used))
        };
        self.groups.iter().map(quota).collect()
    }

    /// Ticks of the machine's processors: busy, and all.
    pub(super) fn processors(&self, misses: &mut Misses) -> Option<(u64, u64)> {
        misses.read(&self.proc.join("stat"), parse::processors)
    }

    /// The greatest share of a memory limit that is in use; of the machine's memory when no group
    /// has a limit.
    pub(super) fn memory(&self, misses: &mut Misses) -> Option<f64> {
        let mut worst: Option<f64> = None;
        for group in &self.groups {
            let Some(limit) = misses.limit(&group.join("memory.max"), parse::bytes) else {
                continue;
            };
            let current = misses.read(&group.join("memory.current"), parse::bytes);
            let inactive = misses.read(&group.join("memory.stat"), |text| {
                parse::stat(text, "inactive_file")
            });
            if let Some(current) = current {
                // The kernel reclaims inactive pages first, so they count as free.
                let used = current.saturating_sub(inactive.unwrap_or(0));
                let share = used as f64 / limit.max(1) as f64;
                worst = Some(worst.map_or(share, |worst| worst.max(share)));
            }
        }
        worst.or_else(|| misses.read(&self.proc.join("meminfo"), parse::meminfo))
    }

    /// The pressure on `cpu` or `memory`, of the innermost group that has the file, or of the
    /// machine.
    pub(super) fn pressure(&self, resource: &str, misses: &mut Misses) -> Option<f64> {
        let file = format!("{resource}.pressure");
        let mut groups = self.groups.iter();
        let group = groups.find_map(|group| misses.read(&group.join(&file), parse::pressure));
        group.or_else(|| misses.read(&self.proc.join("pressure").join(resource), parse::pressure))
    }
}
