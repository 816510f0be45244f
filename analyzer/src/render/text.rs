//! Numbers, times and long lines as people read them.

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};
use whence_schemas::line::time_of_day;

/// A count with its thousands apart.
///
/// ```
/// assert_eq!(whence_analyzer::render::text::count(1234567), "1,234,567");
/// ```
#[must_use]
pub fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if n < 0 {
        text.push('-');
    }
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 run", "2 runs".
#[must_use]
pub fn counted(n: i64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// A duration with the unit that fits.
///
/// ```
/// use whence_analyzer::render::text::duration;
/// assert_eq!(duration(1_500_000_000), "1.5 s");
/// assert_eq!(duration(90_000_000_000), "1m30s");
/// ```
#[must_use]
pub fn duration(ns: i64) -> String {
    let x = ns as f64;
    match ns.unsigned_abs() {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{:.1} us", x / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", x / 1e6),
        1_000_000_000..60_000_000_000 => format!("{:.1} s", x / 1e9),
        _ => {
            let s = ns / 1_000_000_000;
            match s.unsigned_abs() {
                0..3_600 => format!("{}m{:02}s", s / 60, s % 60),
                3_600..86_400 => format!("{}h{:02}m", s / 3_600, s / 60 % 60),
                _ => format!("{}d{:02}h", s / 86_400, s / 3_600 % 24),
            }
        }
    }
}

/// A size in bytes with the unit that fits.
#[must_use]
pub fn bytes(n: u64) -> String {
    let x = n as f64;
    match n {
        0..1_024 => format!("{n} B"),
        1_024..1_048_576 => format!("{:.1} KiB", x / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", x / 1_048_576.0),
        _ => format!("{:.2} GiB", x / 1_073_741_824.0),
    }
}

/// A part of a whole in percent.
#[must_use]
pub fn share(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "0.0%".into();
    }
    format!("{:.1}%", 100.0 * part as f64 / whole as f64)
}

/// A wall-clock time, UTC, from microseconds since 1970: the time of day, with
/// the date if it is not that of `near`.
#[must_use]
pub fn time_near(wall_us: i64, near_us: i64) -> String {
    let date = |us: i64| match Timestamp::from_microsecond(us) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => "----------".into(),
    };
    if date(wall_us) == date(near_us) {
        time_of_day(wall_us)
    } else {
        format!("{} {}", date(wall_us), time_of_day(wall_us))
    }
}

/// A wall-clock time, UTC, with its date.
#[must_use]
pub fn time(wall_us: i64) -> String {
    match Timestamp::from_microsecond(wall_us) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => "---------- --:--:--".into(),
    }
}

/// The same to the millisecond.
#[must_use]
pub fn fine_time_near(wall_us: i64, near_us: i64) -> String {
    let millis = match Timestamp::from_microsecond(wall_us) {
        Ok(time) => time.strftime("%.3f").to_string(),
        Err(_) => String::new(),
    };
    time_near(wall_us, near_us) + &millis
}

/// From when to when: to the millisecond if the seconds say little.
#[must_use]
pub fn span_near(from_us: i64, to_us: i64, near_us: i64) -> (String, String) {
    const FINE_US: i64 = 5_000_000;
    let time = match to_us.saturating_sub(from_us) < FINE_US {
        true => fine_time_near,
        false => time_near,
    };
    (time(from_us, near_us), time(to_us, from_us))
}

/// Columns that a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// A text cut to a number of columns, with an ellipsis if something is missing.
///
/// ```
/// use whence_analyzer::render::text::fit;
/// assert_eq!(fit("abcdef", 4), "abc…");
/// assert_eq!(fit("abc", 4), "abc");
/// ```
#[must_use]
pub fn fit(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let mut cut = String::new();
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        cut.push(c);
    }
    cut.push('…');
    cut
}

/// A text cut to its last columns, with an ellipsis if something is missing.
///
/// ```
/// use whence_analyzer::render::text::fit_end;
/// assert_eq!(fit_end("abcdef", 4), "…def");
/// assert_eq!(fit_end("abc", 4), "abc");
/// ```
#[must_use]
pub fn fit_end(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let tail = text.char_indices().rev().take_while(|(_, c)| {
        used += c.width().unwrap_or(0);
        used <= columns
    });
    let from = tail.last().map_or(text.len(), |(at, _)| at);
    format!("…{}", &text[from..])
}

/// Words put on lines of at most so many columns, with a separator between
/// them that begins the next line where one breaks.
#[must_use]
pub fn flow(words: &[&str], separator: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.width() + separator.width() + word.width() <= columns => {
                line.push_str(separator);
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{}{word}", separator.trim_start())),
            None => lines.push((*word).to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_the_unit_that_fits() {
        let cases = [
            (0, "0 ns"),
            (1_500, "1.5 us"),
            (100_000_000, "100.0 ms"),
            (60_000_000_000, "1m00s"),
            (3_600_000_000_000, "1h00m"),
            (200_000_000_000_000, "2d07h"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn a_line_breaks_before_it_is_too_long() {
        let lines = flow(&["aa", "bb", "cc"], " → ", 8);
        assert_eq!(lines, ["aa → bb", "→ cc"]);
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        assert_eq!(fit("漢字漢字", 5), "漢字…");
    }

    #[test]
    fn the_date_is_only_said_where_it_differs() {
        let noon = 1_700_000_000_000_000;
        assert_eq!(time_near(noon, noon), "22:13:20");
        assert_eq!(time_near(0, noon), "1970-01-01 00:00:00");
    }

    #[test]
    fn a_short_span_is_said_to_the_millisecond() {
        let noon = 1_700_000_000_000_000;
        let span = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            span_near(noon, noon + 12_345, noon),
            span("22:13:20.000", "22:13:20.012")
        );
        assert_eq!(
            span_near(noon, noon + 60_000_000, noon),
            span("22:13:20", "22:14:20")
        );
    }
}
