//! The Date header field (RFC 3261 §20.17): the date of RFC 1123, always in GMT.

/// The seconds since the Unix epoch of `Sat, 13 Nov 2010 23:29:00 GMT`. Whether the weekday fits is not judged.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    const MONTHS: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let text: &[u8; 29] = text.try_into().ok()?;
    let at = |start: usize, part: &[u8]| text[start..start + part.len()].eq_ignore_ascii_case(part);
    let marks = [(3, ", "), (7, " "), (11, " "), (16, " "), (19, ":"), (22, ":"), (25, " GMT")];
    if !marks.iter().all(|(start, mark)| at(*start, mark.as_bytes()))
        || !WEEKDAYS.iter().any(|day| at(0, day))
    {
        return None;
    }
    let month = MONTHS.iter().zip(1..).find_map(|(name, month)| at(8, name).then_some(month))?;
    let (day, year) = (digits(&text[5..7])?, digits(&text[12..16])?);
    let (hour, minute, second) = (digits(&text[17..19])?, digits(&text[20..22])?, digits(&text[23..25])?);
    let good = (1..=days_of(year, month)).contains(&day) && hour < 24 && minute < 60 && second < 60;
    good.then(|| ((days_before(year, month) + day - 1) * 24 + hour) * 3600 + minute * 60 + second)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, sign| sign.is_ascii_digit().then(|| value * 10 + i64::from(sign - b'0')))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the epoch to the first of a month; negative before 1970.
fn days_before(year: i64, month: i64) -> i64 {
    const DAYS_TO_1970: i64 = 719_528;
    // Years 0 to year - 1 in the Gregorian calendar, year 0 being a leap year.
    let leap_days = if year == 0 { 0 } else { 1 + (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 };
    year * 365 + leap_days + (1..month).map(|month| days_of(year, month)).sum::<i64>() - DAYS_TO_1970
}
