//! Times and sizes as people write them.

use std::time::Duration;

/// A length of time with a unit: `500ms`, `30s`, `10m`, `2h`.
///
/// # Errors
/// What is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits
        .parse()
        .map_err(|_| "a time is a number and a unit, as in 30s, 10m or 2h".to_owned())?;
    let unit = match &text[digits.len()..] {
        "us" => 0.000_001,
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        unit => {
            return Err(format!(
                "{unit} is no unit of time; use us, ms, s, m, h or d"
            ));
        }
    };
    match Duration::try_from_secs_f64(number * unit) {
        Ok(time) if time > Duration::ZERO => Ok(time),
        _ => Err("it must be longer than nothing".into()),
    }
}

/// A number of bytes, with a unit or without: `500MB`, `2GiB`.
///
/// # Errors
/// What is wrong with it.
pub fn size(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let digits = upper.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &upper[digits.len()..] {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        _ => return Err("a size is a number and a unit, as in 500MB or 2GB".into()),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    bytes.ok_or_else(|| "a size is a number and a unit, as in 500MB or 2GB".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_a_known_unit_and_some_length() {
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for wrong in ["", "s", "5 parsecs", "-1s", "0s", "1e400s", "nan"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(size("500MB"), Ok(500 << 20));
        assert_eq!(size("2gib"), Ok(2 << 30));
        assert_eq!(size("17"), Ok(17));
        for wrong in ["", "MB", "-1", "1.5GB", "9 parsecs", "99999999999T"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
