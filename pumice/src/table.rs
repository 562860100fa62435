//! Tables of text for people: columns as wide as they have to be.

use unicode_width::UnicodeWidthStr;

/// Between two columns.
const GAP: usize = 2;

/// Lays out rows; the last column of each is not padded. The first row is the heading.
pub(crate) fn layout(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width() + GAP));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Text of a device: without what would act on a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let rows = [
            vec!["name".to_owned(), "é".to_owned(), "x".to_owned()],
            vec!["a".to_owned(), "long".to_owned()],
        ];
        assert_eq!(layout(&rows), "name  é     x\na     long\n");
        assert_eq!(harmless("a\x1b[2J"), "a\u{fffd}[2J");
    }
}
