//! Colours of a board's text, as the SGR sequence sets them (ECMA-48 §8.3.117).

/// A colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Colour {
    #[default]
    Default,
    Indexed(u8),
    Direct(u8, u8, u8),
}

/// How characters look. Blinking and hidden text is not taken over: one disturbs, the other
/// deceives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pen {
    foreground: Colour,
    background: Colour,
    attributes: u8,
}

/// The attributes with the codes that set them, and the code that clears them.
const ATTRIBUTES: [(u16, u8, u16); 5] = [
    (1, 1 << 0, 22), // bold
    (2, 1 << 1, 22), // faint
    (3, 1 << 2, 23), // italic
    (4, 1 << 3, 24), // underlined
    (7, 1 << 4, 27), // inverse
];

impl Pen {
    /// Whether it is as after a reset.
    pub(super) fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// Obeys an SGR sequence. Unknown parameters are ignored.
    pub(super) fn select(&mut self, parameters: &[u16]) {
        let mut parameters = parameters.iter().copied();
        while let Some(code) = parameters.next() {
            match code {
                0 => *self = Self::default(),
                30..=37 => self.foreground = indexed(code - 30),
                38 => self.foreground = extended(&mut parameters).unwrap_or(self.foreground),
                39 => self.foreground = Colour::Default,
                40..=47 => self.background = indexed(code - 40),
                48 => self.background = extended(&mut parameters).unwrap_or(self.background),
                49 => self.background = Colour::Default,
                90..=97 => self.foreground = indexed(code - 90 + 8),
                100..=107 => self.background = indexed(code - 100 + 8),
                _ => self.attribute(code),
            }
        }
    }

    fn attribute(&mut self, code: u16) {
        for (set, bit, clear) in ATTRIBUTES {
            if code == set {
                self.attributes |= bit;
            } else if code == clear {
                self.attributes &= !bit;
            }
        }
    }

    /// Appends the sequence that selects this pen, whatever was selected before.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let mut text = String::from("\x1b[0");
        for (set, bit, _) in ATTRIBUTES {
            if self.attributes & bit != 0 {
                text.push_str(&format!(";{set}"));
            }
        }
        push_colour(self.foreground, 30, &mut text);
        push_colour(self.background, 40, &mut text);
        text.push('m');
        out.extend_from_slice(text.as_bytes());
    }
}

fn indexed(index: u16) -> Colour {
    Colour::Indexed(u8::try_from(index).unwrap_or(0))
}

/// What follows 38 and 48: `5;INDEX` or `2;RED;GREEN;BLUE`.
fn extended(parameters: &mut impl Iterator<Item = u16>) -> Option<Colour> {
    let mut byte = || parameters.next().and_then(|value| u8::try_from(value).ok());
    match byte()? {
        5 => Some(Colour::Indexed(byte()?)),
        2 => Some(Colour::Direct(byte()?, byte()?, byte()?)),
        _ => None,
    }
}

fn push_colour(colour: Colour, base: u16, text: &mut String) {
    match colour {
        Colour::Default => {}
        Colour::Indexed(index @ 0..=7) => text.push_str(&format!(";{}", base + u16::from(index))),
        Colour::Indexed(index) => text.push_str(&format!(";{};5;{index}", base + 8)),
        Colour::Direct(red, green, blue) => {
            text.push_str(&format!(";{};2;{red};{green};{blue}", base + 8));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parameters: &[u16]) -> String {
        let mut pen = Pen::default();
        pen.select(parameters);
        let mut out = Vec::new();
        pen.write(&mut out);
        String::from_utf8(out).expect("sequences are ASCII")
    }

    #[test]
    fn colours_and_attributes_come_out_as_they_went_in() {
        assert_eq!(written(&[1, 32, 44]), "\x1b[0;1;32;44m");
        assert_eq!(written(&[38, 5, 208]), "\x1b[0;38;5;208m");
        assert_eq!(written(&[48, 2, 1, 2, 3, 7]), "\x1b[0;7;48;2;1;2;3m");
        assert_eq!(written(&[91]), "\x1b[0;38;5;9m");
        assert_eq!(written(&[1, 31, 22, 39]), "\x1b[0m");
    }

    #[test]
    fn nonsense_is_ignored() {
        assert_eq!(written(&[38, 5]), "\x1b[0m");
        assert_eq!(written(&[38, 2, 300, 1, 1]), "\x1b[0;1m");
        assert_eq!(written(&[5, 8, 65535]), "\x1b[0m");
    }
}
