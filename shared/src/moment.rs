//! Moments as text.

use alloc::{format, string::String};
use core::time::Duration;

/// A moment as RFC 3339 writes it, in UTC, such as `2026-03-01T12:34:56.789Z`.
///
/// ```
/// use core::time::Duration;
/// use nephrobox_shared::moment::rfc3339;
/// assert_eq!(rfc3339(Duration::from_secs(951_782_400)), "2000-02-29T00:00:00.000Z");
/// ```
pub fn rfc3339(since_1970: Duration) -> String {
    let (days, second) = (since_1970.as_secs() / 86_400, since_1970.as_secs() % 86_400);
    // Years that begin in March put the leap day last; an era of 400 years has 146,097 days.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (era * 400 + year, month + 3)
    } else {
        (era * 400 + year + 1, month - 9)
    };
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since_1970.subsec_millis()
    )
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, written `YYYYMMDD` as DICOM does; `None` if it is none.
///
/// ```
/// use nephrobox_shared::moment::days_since_1970;
/// assert_eq!(days_since_1970("20000301"), Some(11_017));
/// assert_eq!(days_since_1970("19000229"), None);
/// ```
pub fn days_since_1970(date: &str) -> Option<i64> {
    let (year, month, day) = parts(date)?;
    // As above: years begin in March.
    let year = if month < 3 { year - 1 } else { year };
    let month = (month + 9) % 12;
    Some(
        365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468,
    )
}

/// A date of DICOM as people write it, such as `2026-03-01`; what is no date stays as it is.
pub fn date(date: &str) -> String {
    match parts(date) {
        Some((year, month, day)) => format!("{year:04}-{month:02}-{day:02}"),
        None => date.into(),
    }
}

/// Year, from 1 on, month and day of a date that the calendar has.
fn parts(date: &str) -> Option<(i64, i64, i64)> {
    let date = date.trim_matches(' ');
    if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (year >= 1 && (1..=days).contains(&day)).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_dates_agree_with_moments() {
        for day in (0..60_000).step_by(17) {
            let moment = rfc3339(Duration::from_secs(day * 86_400));
            let written = moment[..10].replace('-', "");
            assert_eq!(days_since_1970(&written), Some(day as i64), "{written}");
            assert_eq!(date(&written), moment[..10]);
        }
        // As `date -u -d ... +%s` counts, before 1970.
        assert_eq!(days_since_1970("19000301"), Some(-25_508));
        assert_eq!(days_since_1970("16000229"), Some(-135_081));
    }

    #[test]
    fn what_no_calendar_has_is_no_date() {
        for no in [
            "",
            "2026",
            "20260229",
            "20261301",
            "20260431",
            "00000101",
            "2026030a",
            "2026-3-1",
            "２０２６０３",
            "+2026301",
            "99999999",
        ] {
            assert_eq!(days_since_1970(no), None, "{no}");
            assert_eq!(date(no), no);
        }
    }

    #[test]
    fn moments_are_written_as_rfc_3339_says() {
        // Seconds as `date -u -d ... +%s` counts them.
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (1_772_368_496, "2026-03-01T12:34:56.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), written);
        }
    }
}
