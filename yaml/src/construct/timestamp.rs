//! Dates and times.

use std::fmt::Write as _;

/// The numbers of a timestamp as written.
pub(crate) struct Fields<'a> {
    year: u32,
    month: u32,
    day: u32,
    time: Option<Time<'a>>,
}

struct Time<'a> {
    hour: u32,
    minute: u32,
    second: u32,
    /// The digits behind the point.
    fraction: &'a [u8],
    zone: Option<Zone>,
}

struct Zone {
    negative: bool,
    hours: u32,
    minutes: u32,
}

/// Takes digits from the front of some bytes.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    /// A number of `least` to `most` digits.
    fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        let count = self
            .0
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(
            digits
                .iter()
                .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')),
        )
    }

    /// Steps over one of these bytes.
    fn skip(&mut self, accepted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        accepted.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// Steps over blanks and tells how many.
    fn skip_blanks(&mut self) -> usize {
        let count = self
            .0
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        self.0 = &self.0[count..];
        count
    }
}

impl<'a> Fields<'a> {
    /// Whether this is more than a date.
    pub(crate) fn has_time(&self) -> bool {
        self.time.is_some()
    }

    /// Reads the form that PyYAML's constructor accepts, which does not need two digits in a date.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut digits = Digits(bytes);
        let year = digits.number(4, 4)?;
        digits.skip(b"-")?;
        let month = digits.number(1, 2)?;
        digits.skip(b"-")?;
        let day = digits.number(1, 2)?;
        let time = if digits.0.is_empty() {
            None
        } else {
            if digits.skip(b"Tt").is_none() && digits.skip_blanks() == 0 {
                return None;
            }
            Some(Time::parse(&mut digits)?)
        };
        digits.0.is_empty().then_some(Self {
            year,
            month,
            day,
            time,
        })
    }
}

impl<'a> Time<'a> {
    fn parse(digits: &mut Digits<'a>) -> Option<Self> {
        let hour = digits.number(1, 2)?;
        digits.skip(b":")?;
        let minute = digits.number(2, 2)?;
        digits.skip(b":")?;
        let second = digits.number(2, 2)?;
        let mut fraction: &[u8] = &[];
        if digits.skip(b".").is_some() {
            let length = digits
                .0
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            (fraction, digits.0) = digits.0.split_at(length);
        }
        let blanks = digits.skip_blanks();
        let zone = match digits.skip(b"Z+-") {
            None if blanks > 0 => return None,
            None => None,
            Some(b'Z') => Some(Zone {
                negative: false,
                hours: 0,
                minutes: 0,
            }),
            Some(sign) => {
                let hours = digits.number(1, 2)?;
                let minutes = match digits.skip(b":") {
                    Some(_) => digits.number(2, 2)?,
                    None => 0,
                };
                Some(Zone {
                    negative: sign == b'-',
                    hours,
                    minutes,
                })
            }
        };
        Some(Self {
            hour,
            minute,
            second,
            fraction,
            zone,
        })
    }
}

/// What Python's `isoformat(" ")` prints for the date or time that is written so.
pub(crate) fn isoformat(text: &str) -> Result<String, &'static str> {
    // As everywhere in PyYAML, `$` matches before a last newline.
    let bytes = text.as_bytes();
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let fields = Fields::parse(bytes).ok_or("not of the form YYYY-MM-DD HH:MM:SS")?;
    let Fields {
        year, month, day, ..
    } = fields;
    if year == 0 {
        return Err("the year is out of range");
    }
    if !(1..=12).contains(&month) {
        return Err("the month must be in 1..12");
    }
    if !(1..=days_in(year, month)).contains(&day) {
        return Err("the day is out of range for the month");
    }
    let mut output = format!("{year:04}-{month:02}-{day:02}");
    if let Some(time) = fields.time {
        time.write(&mut output)?;
    }
    Ok(output)
}

impl Time<'_> {
    fn write(&self, output: &mut String) -> Result<(), &'static str> {
        if self.hour > 23 || self.minute > 59 || self.second > 59 {
            return Err("the time is out of range");
        }
        let microseconds = self.fraction.iter().chain(b"000000").take(6);
        let microseconds =
            microseconds.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        // Writing to a string cannot fail.
        let _ = write!(
            output,
            " {:02}:{:02}:{:02}",
            self.hour, self.minute, self.second
        );
        if microseconds > 0 {
            let _ = write!(output, ".{microseconds:06}");
        }
        if let Some(zone) = &self.zone {
            let minutes = zone.hours * 60 + zone.minutes;
            if minutes >= 24 * 60 {
                return Err("the offset must be less than a day");
            }
            let sign = if zone.negative && minutes > 0 {
                '-'
            } else {
                '+'
            };
            let _ = write!(output, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
        }
        Ok(())
    }
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Minutes and microseconds since the year 0 in UTC of what [`isoformat`] printed, when it has an
/// offset: such times are equal when they are the same instant.
pub(crate) fn instant(text: &str) -> Option<(i64, u32)> {
    let fields = Fields::parse(text.as_bytes())?;
    let time = fields.time?;
    let zone = time.zone?;
    let (year, month, day) = (
        i64::from(fields.year),
        i64::from(fields.month),
        i64::from(fields.day),
    );
    // Days in the proleptic Gregorian calendar, counting years from March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day;
    let offset = i64::from(zone.hours * 60 + zone.minutes);
    let offset = if zone.negative { -offset } else { offset };
    let minutes = days * 24 * 60 + i64::from(time.hour * 60 + time.minute) - offset;
    let fraction = time.fraction.iter().chain(b"000000").take(6);
    let fraction = fraction.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    Some((minutes, time.second * 1_000_000 + fraction))
}
