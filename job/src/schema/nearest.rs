//! What was probably meant by a name that is not known.

/// The known name that is nearest to `name`, unless all are too far to be meant.
///
/// Case and `-` against `_` hardly count as a difference.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer ones are no slips of the finger, and distance is quadratic.
    const LONGEST: usize = 100;
    if name.is_empty() || name.len() > LONGEST {
        return None;
    }
    let farthest = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST && *candidate != name)
        .map(|candidate| (distance(&fold(candidate), &fold(name)), candidate))
        .filter(|(distance, _)| *distance <= farthest)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn fold(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

/// How many characters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for row in 1..=from.len() {
        let mut current = vec![row; to.len() + 1];
        for column in 1..=to.len() {
            let is_same = from[row - 1] == to[column - 1];
            let mut best = (last[column - 1] + usize::from(!is_same))
                .min(last[column] + 1)
                .min(current[column - 1] + 1);
            let is_swap = row > 1
                && column > 1
                && from[row - 1] == to[column - 2]
                && from[row - 2] == to[column - 1];
            if is_swap {
                best = best.min(before_last[column - 2] + 1);
            }
            current[column] = best;
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_slips_of_the_finger() {
        for (from, to, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("promts", "prompts", 1),
            ("tset", "test", 1),
            ("ab", "cd", 2),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn suggests_only_what_may_be_meant() {
        let known = ["prompts", "timeout", "auto_login", "to"];
        for (name, expected) in [
            ("promts", Some("prompts")),
            ("auto-login", Some("auto_login")),
            ("Timeout", Some("timeout")),
            ("parameters", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
        assert_eq!(nearest(&"p".repeat(1000), known), None);
    }
}
