//! The text of scalars that are no strings.

/// The text that PyYAML's representer makes of a float: Python's `repr`, with `.0` in front of
/// the exponent of a round number, as without it YAML 1.1 would read a string.
pub(super) fn float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = shortest(number);
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    // Python uses an exponent when it is below -4 or above 15, and writes two digits at least.
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let point = if digits.contains('.') { "" } else { ".0" };
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}{point}e{sign}{:02}", exponent.abs())
        }
        Ok(exponent) => positional(digits, exponent),
        Err(_) => scientific,
    }
}

/// The shortest digits that read back as the same float, in the form `1.5e-7`. Rust and Python
/// differ in one thing: when two numbers of that many digits are equally near, Python takes the
/// even one.
fn shortest(number: f64) -> String {
    let shortest = format!("{number:e}");
    let digits = shortest.split('e').next().unwrap_or_default();
    let decimals = digits.split('.').nth(1).map_or(0, str::len);
    let rounded = format!("{number:.decimals$e}");
    if rounded.parse() == Ok(number) {
        rounded
    } else {
        shortest
    }
}

/// Writes `1.5` and the exponent 3 as `1500.0`.
fn positional(digits: &str, exponent: i32) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    let digits = digits.replace('.', "");
    match usize::try_from(exponent) {
        Ok(exponent) => {
            let whole = format!("{digits:0<width$}", width = exponent + 1);
            let (whole, fraction) = whole.split_at(exponent + 1);
            let fraction = if fraction.is_empty() { "0" } else { fraction };
            format!("{sign}{whole}.{fraction}")
        }
        Err(_) => {
            let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
            format!("{sign}0.{zeros}{digits}")
        }
    }
}

/// Base64 in lines of 76 characters, each with a line break, as `base64.encodebytes` makes it.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const LINE: usize = 57;
    let mut text = String::with_capacity(bytes.len() / 3 * 4 + bytes.len() / LINE + 8);
    for line in bytes.chunks(LINE) {
        for group in line.chunks(3) {
            let octets = [0, 1, 2].map(|place| group.get(place).copied().unwrap_or(0));
            let bits = u32::from_be_bytes([0, octets[0], octets[1], octets[2]]);
            for place in 0..4 {
                if place <= group.len() {
                    let sextet = (bits >> (18 - 6 * place)) & 0x3F;
                    text.push(char::from(ALPHABET[sextet as usize]));
                } else {
                    text.push('=');
                }
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{base64, float};

    #[test]
    fn floats_are_written_as_by_python() {
        let table = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (100.0, "100.0"),
            (0.0001, "0.0001"),
            (0.00001, "1.0e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1.0e+16"),
            (1.5e300, "1.5e+300"),
            (-5e-324, "-5.0e-324"),
            // Halfway between two numbers of 17 digits.
            (9_004_450_339_353_001.0 / 4.0, "2251112584838250.2"),
            (f64::NAN, ".nan"),
            (f64::NEG_INFINITY, "-.inf"),
        ];
        for (number, text) in table {
            assert_eq!(float(number), text);
        }
    }

    #[test]
    fn base64_has_lines_of_76_characters() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"a"), "YQ==\n");
        assert_eq!(base64(b"ab"), "YWI=\n");
        assert_eq!(base64(b"abc"), "YWJj\n");
        let lines: Vec<_> = base64(&[0; 60]).lines().map(str::len).collect();
        assert_eq!(lines, [76, 4]);
    }
}
