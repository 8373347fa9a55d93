//! Samples of the kernel's files, and differences between them.

use std::{path::Path, time::Duration};

use super::files::{Files, Misses};

/// Shares, 0 to 1; `None` where there is no value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) cpu: Option<f64>,
    pub(super) memory: Option<f64>,
    pub(super) cpu_pressure: Option<f64>,
    pub(super) memory_pressure: Option<f64>,
}

/// Reads the files repeatedly.
#[derive(Debug)]
pub(super) struct Sampler {
    files: Files,
    pub(super) misses: Misses,
    quotas: Vec<Option<(f64, u64)>>,
    processors: Option<(u64, u64)>,
}

impl Sampler {
    /// Takes the first sample of the files below `root`.
    pub(super) fn new(root: &Path) -> Self {
        let mut misses = Misses::default();
        let files = Files::below(root, &mut misses);
        Self {
            quotas: files.quotas(&mut misses),
            processors: files.processors(&mut misses),
            files,
            misses,
        }
    }

    /// Takes the next sample, `since` after the previous one.
    pub(super) fn sample(&mut self, since: Duration) -> Sample {
        Sample {
            cpu: self.cpu(since),
            memory: self.files.memory(&mut self.misses),
            cpu_pressure: self.files.pressure("cpu", &mut self.misses),
            memory_pressure: self.files.pressure("memory", &mut self.misses),
        }
    }

    /// The greatest share of a quota that was used, or of the machine without a quota.
    fn cpu(&mut self, since: Duration) -> Option<f64> {
        let quotas = self.files.quotas(&mut self.misses);
        let micros = since.as_secs_f64() * 1e6;
        let used = quotas.iter().zip(&self.quotas).filter_map(|(now, before)| {
            let (quota, now) = (*now)?;
            let (_, before) = (*before)?;
            Some(now.saturating_sub(before) as f64 / (quota * micros))
        });
        let worst = used.reduce(f64::max).filter(|share| share.is_finite());
        let limited = quotas.iter().any(Option::is_some);
        self.quotas = quotas;

        let processors = self.files.processors(&mut self.misses);
        let before = std::mem::replace(&mut self.processors, processors);
        if limited {
            return worst;
        }
        let ((worked, all), (worked_before, all_before)) = (processors?, before?);
        let all = all.checked_sub(all_before).filter(|all| *all > 0)?;
        Some(worked.saturating_sub(worked_before) as f64 / all as f64)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::fs;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A root with these files.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), files);
        root
    }

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn a_group_is_measured_against_the_quotas_of_its_ancestors() {
        let root = root(&[
            ("proc/self/cgroup", "0::/pod/app\n"),
            ("sys/fs/cgroup/pod/app/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/pod/app/cpu.stat", "usage_usec 500\n"),
            (
                "sys/fs/cgroup/pod/app/cpu.pressure",
                "some avg10=30.00 avg60=1 avg300=1 total=1\n",
            ),
            ("sys/fs/cgroup/pod/app/memory.max", "1000\n"),
            ("sys/fs/cgroup/pod/app/memory.current", "900\n"),
            (
                "sys/fs/cgroup/pod/app/memory.stat",
                "anon 1\ninactive_file 400\n",
            ),
            ("sys/fs/cgroup/pod/cpu.max", "150000 100000\n"),
            (
                "sys/fs/cgroup/pod/cpu.stat",
                "usage_usec 1000000\nuser_usec 1\n",
            ),
            ("sys/fs/cgroup/pod/memory.max", "max\n"),
            (
                "proc/pressure/memory",
                "some avg10=5.00 avg60=0 avg300=0 total=0\n",
            ),
        ]);
        let mut sampler = Sampler::new(root.path());
        write(
            root.path(),
            &[("sys/fs/cgroup/pod/cpu.stat", "usage_usec 2200000\n")],
        );
        let sample = sampler.sample(SECOND);
        assert_eq!(sample.cpu, Some(0.8));
        assert_eq!(sample.memory, Some(0.5));
        assert_eq!(sample.cpu_pressure, Some(0.3));
        assert_eq!(sample.memory_pressure, Some(0.05));
        assert_eq!(sampler.misses.0, 0);
    }

    #[test]
    fn without_limits_the_machine_is_measured() {
        let root = root(&[
            ("proc/self/cgroup", "0::/\n"),
            ("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n"),
            ("proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 40 kB\n"),
        ]);
        let mut sampler = Sampler::new(root.path());
        write(
            root.path(),
            &[("proc/stat", "cpu  190 0 100 810 0 0 0 0 0 0\n")],
        );
        let sample = sampler.sample(SECOND);
        assert_eq!((sample.cpu, sample.memory), (Some(0.9), Some(0.6)));
    }

    #[test]
    fn a_missing_file_gives_no_value_and_a_malformed_one_is_counted() {
        let empty = root(&[]);
        let mut sampler = Sampler::new(empty.path());
        assert_eq!(sampler.sample(SECOND), Sample::default());
        assert_eq!(sampler.misses.0, 0);

        let broken = root(&[
            ("proc/stat", "nonsense"),
            ("proc/meminfo", ""),
            ("proc/pressure/cpu", "some avg10=? total=1"),
        ]);
        let mut sampler = Sampler::new(broken.path());
        assert_eq!(sampler.sample(SECOND), Sample::default());
        // The processors twice, and two more.
        assert_eq!(sampler.misses.0, 4);
    }

    #[test]
    fn a_path_outside_of_the_mount_is_not_followed() {
        let root = root(&[
            ("proc/self/cgroup", "0::/../outside\n"),
            ("sys/fs/outside/memory.max", "1\n"),
            ("sys/fs/outside/memory.current", "1\n"),
            ("sys/fs/cgroup/memory.max", "100\n"),
            ("sys/fs/cgroup/memory.current", "10\n"),
            ("sys/fs/cgroup/memory.stat", "inactive_file 0\n"),
        ]);
        let sample = Sampler::new(root.path()).sample(SECOND);
        assert_eq!(sample.memory, Some(0.1));
    }

    /// The other tests use files of their own; this one reads the real ones.
    #[test]
    #[allow(clippy::print_stderr)] // shows what was not tested
    fn the_control_groups_of_this_kernel_are_parsed() {
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let is_v2 = |mount: &&Path| mount.join("cgroup.controllers").is_file();
        let Some(mount) = mounts.into_iter().find(is_v2) else {
            eprintln!("not tested: version 2 of control groups is not mounted here");
            return;
        };
        let mut sampler = Sampler::new(Path::new("/"));
        let sample = sampler.sample(SECOND);
        assert!(sample.memory.is_some(), "{sample:?}");
        let pressures = [
            ("cpu.pressure", sample.cpu_pressure),
            ("memory.pressure", sample.memory_pressure),
        ];
        for (file, share) in pressures {
            // A kernel may have the file and fail to read it.
            if let Err(error) = fs::read_to_string(mount.join(file)) {
                eprintln!("not tested: {file}: {error}");
                return;
            }
            assert!(share.is_some_and(|share| share <= 1.0), "{sample:?}");
        }
        assert_eq!(sampler.misses.0, 0, "a file was not understood");
    }
}
