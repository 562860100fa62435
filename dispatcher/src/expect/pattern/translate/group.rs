//! Groups of a pattern: all that begins with `(`, the flags that hold inside, and its end.

use super::{ANYWHERE, Flags, Refusal, Repeatable, Target, Translator, refusal};

/// How deep groups may nest; Python itself gives up at a comparable depth.
const MAX_DEPTH: usize = 200;

/// A group whose end is not seen yet.
#[derive(Clone, Copy)]
pub(super) struct OpenGroup {
    /// The flags to go back to at its end.
    flags: Flags,
    /// Where it starts in the pattern.
    pub(super) start: usize,
    /// Where it starts in the output when it is to be left out.
    left_out: Option<usize>,
}

impl Translator<'_> {
    pub(super) fn open_group(&mut self) -> Result<(), Refusal> {
        let start = self.at - 1;
        if self.open_groups.len() >= MAX_DEPTH {
            return Err(refusal("groups nest too deeply", start));
        }
        if self.peek() != Some('?') {
            return self.push_group("(", start, true);
        }
        self.at += 1;
        let Some(kind) = self.next() else {
            return Err(refusal("unexpected end of pattern", start));
        };
        match kind {
            ':' => self.push_group("(?:", start, false),
            '#' => loop {
                match self.next() {
                    Some(')') => return Ok(()),
                    Some(_) => {}
                    None => return Err(refusal("missing ), unterminated comment", start)),
                }
            },
            '=' | '!' => self.look_around(&format!("(?{kind}"), start),
            '>' => {
                self.backtracks = true;
                let atomic = match self.target {
                    Target::Superset => "(?:",
                    Target::Linear | Target::Backtracking => "(?>",
                };
                self.push_group(atomic, start, false)
            }
            '<' => match self.next() {
                Some(side @ ('=' | '!')) => self.look_around(&format!("(?<{side}"), start),
                _ => Err(refusal("unknown extension ?<", start)),
            },
            'P' => self.named(start),
            '(' => self.condition(start),
            other => self.local_flags(other, start),
        }
    }

    fn look_around(&mut self, text: &str, start: usize) -> Result<(), Refusal> {
        self.backtracks = true;
        let left_out = (self.target == Target::Superset).then_some(self.output.len());
        self.push_group(text, start, false)?;
        if let Some(group) = self.open_groups.last_mut() {
            group.left_out = left_out;
        }
        Ok(())
    }

    fn named(&mut self, start: usize) -> Result<(), Refusal> {
        match self.next() {
            Some('<') => {
                let name = self.name('>', start)?;
                if self.names.contains(&name) {
                    return Err(refusal(
                        format!("redefinition of group name '{name}'"),
                        start,
                    ));
                }
                self.push_group(&format!("(?P<{name}>"), start, true)?;
                self.names.push(name);
                Ok(())
            }
            Some('=') => {
                let name = self.name(')', start)?;
                if !self.names.contains(&name) {
                    return Err(refusal(format!("unknown group name '{name}'"), start));
                }
                self.reference(&format!("(?P={name})"))
            }
            _ => Err(refusal("unknown extension ?P", start)),
        }
    }

    fn condition(&mut self, start: usize) -> Result<(), Refusal> {
        let group = self.name(')', start)?;
        let known = match group.parse::<usize>() {
            Ok(number) => (1..=self.groups).contains(&number),
            Err(_) => self.names.contains(&group),
        };
        if !known {
            return Err(refusal(format!("unknown group '{group}'"), start));
        }
        self.backtracks = true;
        let test = match group.parse::<usize>() {
            // Without a second branch a group that took no part matches nothing.
            _ if self.target == Target::Superset => "(?:|".to_owned(),
            Ok(number) => format!("(?({number})"),
            Err(_) => format!("(?(<{group}>)"),
        };
        self.push_group(&test, start, false)
    }

    fn name(&mut self, end: char, start: usize) -> Result<String, Refusal> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some(character) if character == end => break,
                Some(character) if character == '_' || character.is_ascii_alphanumeric() => {
                    name.push(character);
                }
                Some(_) => return Err(refusal("bad character in group name", start)),
                None => return Err(refusal("missing group name", start)),
            }
        }
        let is_condition = end == ')' && name.bytes().all(|byte| byte.is_ascii_digit());
        if name.is_empty()
            || (!is_condition && name.starts_with(|first: char| first.is_ascii_digit()))
        {
            return Err(refusal("bad character in group name", start));
        }
        Ok(name)
    }

    /// `(?aiLmsux)` at the start of the pattern.
    pub(super) fn global_flags(&mut self) -> Result<(), Refusal> {
        while self.characters[self.at..].starts_with(&['(', '?']) {
            let letters = self.characters[self.at + 2..]
                .iter()
                .take_while(|letter| "aiLmsux".contains(**letter))
                .count();
            let end = self.at + 2 + letters;
            if letters == 0 || self.characters.get(end) != Some(&')') {
                return Ok(());
            }
            for position in self.at + 2..end {
                match self.characters[position] {
                    'i' => self.ignore_case = true,
                    'L' => return Err(refusal("bad inline flags: cannot use 'L' flag", position)),
                    letter => set_flag(&mut self.flags, letter, true),
                }
            }
            self.at = end + 1;
        }
        Ok(())
    }

    /// `(?ims-x:…)`.
    fn local_flags(&mut self, first: char, start: usize) -> Result<(), Refusal> {
        let mut flags = self.flags;
        let (mut on, mut ignore_case) = (true, "");
        let mut letter = first;
        loop {
            match letter {
                ':' => break,
                '-' if on => on = false,
                'i' => ignore_case = if on { "i" } else { "-i" },
                'a' | 'u' if on => {}
                'm' | 's' | 'x' => set_flag(&mut flags, letter, on),
                ')' => {
                    return Err(refusal(
                        "global flags not at the start of the expression",
                        start,
                    ));
                }
                other => return Err(refusal(format!("unknown extension ?{other}"), start)),
            }
            letter = self
                .next()
                .ok_or_else(|| refusal("missing -, : or )", start))?;
        }
        self.push_group(&format!("(?{ignore_case}:"), start, false)?;
        self.flags = flags;
        Ok(())
    }

    fn push_group(&mut self, text: &str, start: usize, captures: bool) -> Result<(), Refusal> {
        self.open_groups.push(OpenGroup {
            flags: self.flags,
            start,
            left_out: None,
        });
        self.groups += usize::from(captures);
        self.output.push_str(text);
        self.repeatable = Repeatable::Nothing;
        Ok(())
    }

    pub(super) fn close_group(&mut self) -> Result<(), Refusal> {
        let Some(group) = self.open_groups.pop() else {
            return Err(refusal("unbalanced parenthesis", self.at - 1));
        };
        self.flags = group.flags;
        if let Some(output) = group.left_out {
            self.output.truncate(output);
            return self.atom(ANYWHERE);
        }
        self.atom(")")
    }
}

fn set_flag(flags: &mut Flags, letter: char, on: bool) {
    match letter {
        'm' => flags.multi_line = on,
        's' => flags.dot_matches_newline = on,
        'x' => flags.verbose = on,
        // `a` and `u`: classes are those of ASCII here.
        _ => {}
    }
}
