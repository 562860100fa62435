//! Small sums in the tables of models: `{outlet-1}`, `{outlet/8+1}`.
//!
//! A name and any number of `+ - / %` with a number each, worked out from left to right. Never
//! overflows, never goes below zero: such an outlet does not exist.

/// A sum in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    name: String,
    operations: Vec<(char, u64)>,
}

impl Expression {
    /// Understands "outlet-1/8".
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let malformed = || format!("'{text}' is no sum like 'outlet-1' or 'outlet/8+1'");
        let end = text.find(|c| "+-/%".contains(c)).unwrap_or(text.len());
        let (name, mut rest) = text.split_at(end);
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(malformed());
        }
        let mut operations = Vec::new();
        while let Some(operator) = rest.chars().next() {
            let operand = &rest[1..];
            let end = operand
                .find(|c| "+-/%".contains(c))
                .unwrap_or(operand.len());
            let number = number(&operand[..end]).ok_or_else(malformed)?;
            if number == 0 && "/%".contains(operator) {
                return Err(format!("'{text}' divides by zero"));
            }
            operations.push((operator, number));
            rest = &operand[end..];
        }
        let name = name.to_owned();
        Ok(Self { name, operations })
    }

    /// The name it begins with.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its value where its name has the value `start`; `None` when that lies outside of what a
    /// number can be.
    pub(super) fn value(&self, start: u64) -> Option<u64> {
        let mut operations = self.operations.iter();
        operations.try_fold(start, |value, (operator, number)| match operator {
            '+' => value.checked_add(*number),
            '-' => value.checked_sub(*number),
            '/' => value.checked_div(*number),
            _ => value.checked_rem(*number),
        })
    }
}

/// A decimal number, or a hexadecimal one after `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str, start: u64) -> Option<u64> {
        Expression::parse(text).unwrap().value(start)
    }

    #[test]
    fn works_from_left_to_right() {
        assert_eq!(value("outlet", 7), Some(7));
        assert_eq!(value("outlet-1/8+1", 17), Some(3));
        assert_eq!(value("outlet+0x64", 3), Some(0x67));
        assert_eq!(value("outlet%8", 17), Some(1));
        assert_eq!(value("outlet-1", 0), None);
        for bad in [
            "",
            "-1",
            "outlet-",
            "outlet*2",
            "outlet/0",
            "outlet%0",
            "outlet+0xg",
            "Outlet",
        ] {
            assert!(Expression::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_understood_or_refused(text in "[a-z0-9x+/%-]{0,20}", start: u64) {
            if let Ok(expression) = Expression::parse(&text) {
                let _ = expression.value(start);
            }
        }
    }
}
