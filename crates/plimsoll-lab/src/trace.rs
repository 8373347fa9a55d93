//! Arrival times from a file.

use std::{fs, path::Path, sync::Arc};

/// Reads the gaps of a trace: one line per arrival, with its time in the first column, in seconds
/// or as a date and time.
pub(crate) fn read(path: &Path) -> Result<Arc<[f64]>, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let column = |line: &str| line.split([',', ';', '\t']).next().and_then(seconds);
    let mut times: Vec<f64> = text.lines().filter_map(column).collect();
    times.sort_by(f64::total_cmp);
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    if gaps.is_empty() || mean <= 0.0 {
        return Err(format!(
            "{}: a trace must have at least two different times",
            path.display()
        ));
    }
    Ok(gaps.iter().map(|gap| gap / mean).collect())
}

/// Parses `12.5`, or `2023-11-16 18:15:46.68` with a space or a `T`.
fn seconds(text: &str) -> Option<f64> {
    let text = text.trim().trim_matches('"').trim_end_matches('Z');
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let time = time.splitn(3, ':').map(|part| part.parse::<f64>().ok());
    let time = time.collect::<Option<Vec<_>>>().filter(|t| t.len() == 3)?;
    // Days since a first of March: in a year that starts there, a leap day is the last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    Some(days as f64 * 86_400.0 + time[0] * 3600.0 + time[1] * 60.0 + time[2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_seconds_and_as_dates() {
        assert_eq!(seconds("12.5"), Some(12.5));
        let gap = |a, b| seconds(b).unwrap() - seconds(a).unwrap();
        assert!((gap("2023-11-16 18:15:46.5", "2023-11-16T18:15:48.0Z") - 1.5).abs() < 1e-4);
        assert!((gap("2024-02-28 23:59:59", "2024-03-01 00:00:00") - 86_401.0).abs() < 1e-4);
        assert!((gap("2023-12-31 23:59:59", "2024-01-01 00:00:00") - 1.0).abs() < 1e-4);
        assert_eq!(seconds("TIMESTAMP"), None);
    }

    #[test]
    fn a_trace_keeps_its_shape_and_has_a_mean_of_one() {
        let file = std::env::temp_dir().join(format!("plimsoll-lab-{}.csv", std::process::id()));
        fs::write(&file, "time,tokens\n10.0,3\n10.0,9\n10.5,1\n16.0,1\n").unwrap();
        let gaps = read(&file).unwrap();
        fs::write(&file, "time\n").unwrap();
        let empty = read(&file);
        fs::remove_file(file).unwrap();
        assert_eq!(*gaps, [0.0, 0.25, 2.75]);
        assert!(empty.is_err());
    }
}
