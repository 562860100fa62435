//! What a misspelt word may have meant.

/// The word of `known` that differs least from `word`, if that is little enough for a slip.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = 1 + word.len() / 4;
    let distances = known.iter().map(|known| (distance(word, known), *known));
    let best = distances.min_by_key(|(distance, _)| *distance)?;
    (best.0 <= limit).then_some(best.1)
}

/// How many bytes have to be inserted, removed or replaced.
fn distance(one: &str, other: &str) -> usize {
    // Longer words are no slips; this also bounds the work on hostile input.
    if one.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, byte) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (place, compared) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(byte != compared);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let known = ["baud", "parity", "stop"];
        assert_eq!(nearest("baut", &known), Some("baud"));
        assert_eq!(nearest("parrity", &known), Some("parity"));
        assert_eq!(nearest("speed", &known), None);
        assert_eq!(nearest(&"x".repeat(10_000), &known), None);
        assert_eq!(nearest("", &[]), None);
    }
}
