//! Parses the kernel's files. Pure; malformed text gives `None`.

/// The path of the process in the version 2 hierarchy: the line `0::/path` of `/proc/self/cgroup`.
pub(super) fn cgroup_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::/"))
}

/// A value such as `usage_usec` of `cpu.stat` or `inactive_file` of `memory.stat`: a name and a
/// number per line.
pub(super) fn stat(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().map(|line| line.split_ascii_whitespace());
    let mut line = lines.find(|line| line.clone().next() == Some(name))?;
    line.nth(1)?.parse().ok()
}

/// Processors that `cpu.max` allows: `max 100000` is no limit, `150000 100000` is 1.5.
pub(super) fn cpu_max(text: &str) -> Option<f64> {
    let mut words = text.split_ascii_whitespace();
    let quota: u64 = words.next()?.parse().ok()?;
    let period: u64 = words.next()?.parse().ok()?;
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

/// Bytes in `memory.current` or `memory.max`; `max` is no limit.
pub(super) fn bytes(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The share of the last ten seconds in which a task was delayed, 0 to 1: `avg10` of the line
/// `some` of a pressure file.
pub(super) fn pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let mut words = some.split_ascii_whitespace();
    let percent: f64 = words
        .find_map(|word| word.strip_prefix("avg10="))?
        .parse()
        .ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

/// Ticks of all processors in `/proc/stat`: busy, and all.
pub(super) fn processors(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; guest time is part of user.
    let mut ticks = [0_u64; 8];
    let mut words = line.split_ascii_whitespace();
    for (n, tick) in ticks.iter_mut().enumerate() {
        match words.next() {
            Some(word) => *tick = word.parse().ok()?,
            None if n >= 4 => break,
            None => return None,
        }
    }
    let all: u64 = ticks.iter().sum();
    Some((all - ticks[3] - ticks[4], all))
}

/// The share of the memory in `/proc/meminfo` that is not available, 0 to 1.
pub(super) fn meminfo(text: &str) -> Option<f64> {
    let (total, available) = (stat(text, "MemTotal:")?, stat(text, "MemAvailable:")?);
    (total > 0).then(|| total.saturating_sub(available) as f64 / total as f64)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_read_from_the_version_2_line() {
        let hybrid = "12:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/system.slice/api.service\n";
        assert_eq!(cgroup_path(hybrid), Some("system.slice/api.service"));
        assert_eq!(cgroup_path("0::/\n"), Some(""));
        assert_eq!(cgroup_path("4:memory:/a\n"), None);
    }

    #[test]
    fn a_quota_is_a_number_of_processors() {
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(cpu_max("50000 100000\n"), Some(0.5));
        for odd in ["", "100000", "0 100000", "100000 0", "a b", "-1 5"] {
            assert_eq!(cpu_max(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn pressure_is_the_share_of_time_in_which_some_task_waited() {
        let text = "some avg10=12.50 avg60=3.20 avg300=1.00 total=123456\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=9\n";
        assert_eq!(pressure(text), Some(0.125));
        assert_eq!(
            pressure("some avg10=0.00 avg60=0 avg300=0 total=0"),
            Some(0.0)
        );
        for odd in [
            "",
            "full avg10=1.00",
            "some avg60=1",
            "some avg10=x",
            "some avg10=101",
            "some avg10=NaN",
        ] {
            assert_eq!(pressure(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn statistics_are_found_by_name() {
        let text = "anon 4096\nfile 8192\nactive_file 1\ninactive_file 6144\n";
        assert_eq!(stat(text, "inactive_file"), Some(6144));
        assert_eq!(stat(text, "file"), Some(8192));
        assert_eq!(stat(text, "usage_usec"), None);
        assert_eq!(bytes("1048576\n"), Some(1_048_576));
        assert_eq!(bytes("max\n"), None);
    }

    #[test]
    fn idle_and_iowait_ticks_are_not_busy() {
        let text = "cpu  100 20 30 700 50 5 5 90 40 0\ncpu0 1 2 3 4\n";
        assert_eq!(processors(text), Some((250, 1000)));
        assert_eq!(processors("cpu  1 2 3 4\n"), Some((6, 10)));
        assert_eq!(processors("cpu  1 2 3\n"), None);
        assert_eq!(processors("cpu0 1 2 3 4\n"), None);
    }

    #[test]
    fn available_memory_is_not_used_memory() {
        let text = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n";
        assert_eq!(meminfo(text), Some(0.75));
        assert_eq!(meminfo("MemTotal: 0 kB\nMemAvailable: 0 kB\n"), None);
        assert_eq!(meminfo("MemTotal: 5 kB\n"), None);
    }
}
