//! Parses the times of recordings, to seconds since 1970.

/// Parses `17/May/2015:10:05:03 +0000`.
pub(super) fn access_log(stamp: &str) -> Option<f64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (stamp, zone) = stamp.split_once(' ')?;
    let (date, clock) = stamp.split_once(':')?;
    let mut date = date.split('/');
    let (day, month, year) = (date.next()?, date.next()?, date.next()?);
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    Some(days(number(year)?, month, number(day)?)? * 86_400.0 + time_of_day(clock)? - offset(zone)?)
}

/// Parses `2023-11-16 18:15:46.6805900`, also with a `T` or a zone, or a plain number of seconds.
pub(super) fn timestamp(stamp: &str) -> Option<f64> {
    if let Ok(seconds) = stamp.parse::<f64>() {
        return seconds.is_finite().then_some(seconds);
    }
    let (date, clock) = stamp.split_once(['T', ' '])?;
    let mut date = date.split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let (clock, zone) = match clock.find(['Z', 'z', '+', '-']) {
        Some(at) => clock.split_at(at),
        None => (clock, "Z"),
    };
    let zone = if zone.eq_ignore_ascii_case("z") {
        0.0
    } else {
        offset(zone)?
    };
    Some(days(number(year)?, number(month)?, number(day)?)? * 86_400.0 + time_of_day(clock)? - zone)
}

/// Parses up to nine digits.
fn number(digits: &str) -> Option<i64> {
    let plain =
        !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// Parses `10:05:03` or `10:05:03.25`, to seconds.
fn time_of_day(clock: &str) -> Option<f64> {
    let mut parts = clock.trim().split(':');
    let (hour, minute, second) = (
        number(parts.next()?)?,
        number(parts.next()?)?,
        parts.next()?,
    );
    let (whole, fraction) = second.split_once('.').unwrap_or((second, "0"));
    number(fraction)?;
    let second: f64 = format!("{}.{fraction}", number(whole)?).parse().ok()?;
    let valid = parts.next().is_none() && hour < 24 && minute < 60 && second < 61.0;
    valid.then_some((hour * 3_600 + minute * 60) as f64 + second)
}

/// Parses `+0200` or `-03:30`, to seconds.
fn offset(zone: &str) -> Option<f64> {
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1.0, digits),
        ("-", digits) => (-1.0, digits),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60) as f64)
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar.
///
/// From Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> Option<f64> {
    if !(1..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some((era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_log_times_are_converted_to_utc() {
        assert_eq!(access_log("01/Jan/1970:00:00:00 +0000"), Some(0.0));
        assert_eq!(
            access_log("17/May/2015:10:05:03 +0000"),
            Some(1_431_857_103.0)
        );
        assert_eq!(
            access_log("17/May/2015:12:05:03 +0200"),
            Some(1_431_857_103.0)
        );
        assert_eq!(
            access_log("17/May/2015:06:35:03 -0330"),
            Some(1_431_857_103.0)
        );
    }

    #[test]
    fn timestamps_may_have_fractions_and_zones() {
        let seconds = 1_700_158_546.680_59;
        for stamp in [
            "2023-11-16 18:15:46.6805900",
            "2023-11-16T18:15:46.68059Z",
            "2023-11-16T20:15:46.68059+02:00",
            "1700158546.68059",
        ] {
            let read = timestamp(stamp).unwrap();
            assert!((read - seconds).abs() < 1e-5, "{stamp}: {read}");
        }
        // A leap day.
        let day =
            timestamp("2024-03-01 00:00:00").unwrap() - timestamp("2024-02-29 00:00:00").unwrap();
        assert!((day - 86_400.0).abs() < 1e-5, "{day}");
    }

    #[test]
    fn a_malformed_time_is_none() {
        for stamp in [
            "",
            "x",
            "NaN",
            "2023-13-01 00:00:00",
            "2023-11-16",
            "2023-11-16 25:00:00",
            "2023-11-16 1:2",
        ] {
            assert_eq!(timestamp(stamp), None, "{stamp}");
        }
        for stamp in [
            "",
            "17/May/2015",
            "17/May/2015:10:05:03",
            "17/Mai/2015:10:05:03 +0000",
            "1/2/3:4:5:6 é",
        ] {
            assert_eq!(access_log(stamp), None, "{stamp}");
        }
    }
}
