//! What a value may look like, as data, and the walk that compares.

use super::nearest::nearest;
use crate::Problem;
use yaml::{Node, Span, Value};

/// What a value may look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Anything at all.
    Anything,
    /// A string, or a number that stands where a string is expected, as in LAVA.
    Text,
    /// A string of one to so many characters.
    ShortText(usize),
    /// A string that a check accepts, else what it says is wrong.
    Checked(fn(&str) -> Result<(), &'static str>),
    /// `true` or `false`.
    Bool,
    /// An integer in a range, both ends included.
    Integer(i64, i64),
    /// A number of seconds, not below zero.
    Seconds,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List(&'static Self),
    /// One, or a list of them.
    OneOrMore(&'static Self),
    /// Nothing, or this.
    Maybe(&'static Self),
    /// A map if it is one, else the second.
    MapOr(&'static Self, &'static Self),
    /// A map whose keys are names.
    Names(&'static Self),
    /// A map with these keys and no others; groups that several maps share come first.
    Map(&'static [&'static [Field]]),
    /// A map that may have other keys too.
    OpenMap(&'static [&'static [Field]]),
    /// A map that says under `selector` which of the methods it is for.
    Method(&'static Methods),
    /// A time limit as jobs write it: one unit, at least 1.
    Timeout,
    /// A time limit as devices have it: any units, which are added up.
    DeviceTimeout,
}

/// A key of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) is_required: bool,
}

/// Kinds of a block that differ in their keys.
#[derive(Debug)]
pub(super) struct Methods {
    /// The key that says which it is: `to` or `method`.
    pub(super) selector: &'static str,
    /// What a user calls one of them: `deploy method`.
    pub(super) kind: &'static str,
    /// Keys of all of them.
    pub(super) common: &'static [&'static [Field]],
    /// Name and keys of each.
    pub(super) methods: &'static [(&'static str, &'static [Field])],
}

/// A key that may be there.
pub(super) const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        is_required: false,
    }
}

/// A key that must be there.
pub(super) const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        is_required: true,
    }
}

/// The units of time limits, with their seconds.
pub(super) const UNITS: &[(&str, i64)] = &[
    ("days", 86_400),
    ("hours", 3_600),
    ("minutes", 60),
    ("seconds", 1),
];

/// How many problems are told of one document. Whoever has more has another problem.
const MOST_PROBLEMS: usize = 500;

/// Collects problems.
#[derive(Debug, Default)]
pub(super) struct Checker {
    problems: Vec<Problem>,
    has_more: bool,
}

/// The path of a key of the map at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

impl Checker {
    /// What was found, in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.span.start);
        if let (true, Some(last)) = (self.has_more, self.problems.last()) {
            let message = "there are more problems, which are not listed";
            self.problems.push(Problem::new("", last.span, message));
        }
        self.problems
    }

    pub(super) fn report(&mut self, path: &str, span: Span, message: impl Into<String>) {
        self.push(Problem::new(path, span, message));
    }

    pub(super) fn report_with_hint(
        &mut self,
        path: &str,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Problem::new(path, span, message).with_hint(hint));
    }

    fn push(&mut self, problem: Problem) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.has_more = true;
        }
    }

    /// Compares a node with a shape.
    pub(super) fn check(&mut self, node: &Node, path: &str, shape: &Shape) {
        match shape {
            Shape::Anything => {}
            Shape::Text => self.check_text(node, path),
            Shape::ShortText(longest) => self.check_short_text(node, path, *longest),
            Shape::Checked(accepts) => match node.as_str() {
                Some(text) => {
                    if let Err(message) = accepts(text) {
                        self.report(path, node.span, message);
                    }
                }
                None => self.check_text(node, path),
            },
            Shape::Bool if node.as_bool().is_none() => self.unexpected(node, path, "true or false"),
            Shape::Bool => {}
            Shape::Integer(least, most) => {
                if !node
                    .as_i64()
                    .is_some_and(|number| (*least..=*most).contains(&number))
                {
                    let wanted = if *most == i64::MAX {
                        format!("an integer of at least {least}")
                    } else {
                        format!("an integer from {least} to {most}")
                    };
                    self.unexpected(node, path, &wanted);
                }
            }
            Shape::Seconds if !node.as_f64().is_some_and(|seconds| seconds >= 0.0) => {
                self.unexpected(node, path, "a number of seconds");
            }
            Shape::Seconds => {}
            Shape::Choice(words) => self.check_choice(node, path, words),
            Shape::Maybe(_) if node.is_null() => {}
            Shape::Maybe(shape) => self.check(node, path, shape),
            Shape::List(shape) => self.check_list(node, path, shape),
            Shape::OneOrMore(shape) if node.as_sequence().is_some() => {
                self.check_list(node, path, shape);
            }
            Shape::OneOrMore(shape) => self.check(node, path, shape),
            Shape::MapOr(map, _) if node.as_map().is_some() => self.check(node, path, map),
            Shape::MapOr(_, other) => self.check(node, path, other),
            Shape::Names(shape) => self.check_names(node, path, shape),
            Shape::Map(groups) => self.check_map(node, path, groups, true),
            Shape::OpenMap(groups) => self.check_map(node, path, groups, false),
            Shape::Method(methods) => self.check_method(node, path, methods),
            Shape::Timeout => self.check_timeout(node, path),
            Shape::DeviceTimeout => self.check_device_timeout(node, path),
        }
    }

    fn unexpected(&mut self, node: &Node, path: &str, wanted: &str) {
        let found = match &node.value {
            Value::Int(yaml::Int::Small(number)) => number.to_string(),
            value => value.kind().to_owned(),
        };
        self.report(path, node.span, format!("expected {wanted}, found {found}"));
    }

    fn check_text(&mut self, node: &Node, path: &str) {
        match &node.value {
            Value::String(_) | Value::Int(_) | Value::Float(_) | Value::Timestamp(_) => {}
            Value::Bool(_) => {
                self.unexpected(node, path, "a string");
                self.add_hint("put it in quotes: YAML reads yes, no, on and off as booleans");
            }
            _ => self.unexpected(node, path, "a string"),
        }
    }

    fn check_short_text(&mut self, node: &Node, path: &str, longest: usize) {
        self.check_text(node, path);
        if let Some(text) = node.as_str() {
            if text.is_empty() {
                self.report(path, node.span, "it is empty");
            } else if text.chars().count() > longest {
                let message = format!("it is longer than {longest} characters");
                self.report(path, node.span, message);
            }
        }
    }

    /// Completes the problem reported last, unless it was one too many.
    fn add_hint(&mut self, hint: impl Into<String>) {
        if let Some(problem) = self.problems.last_mut().filter(|_| !self.has_more) {
            problem.hint = Some(hint.into());
        }
    }

    fn check_choice(&mut self, node: &Node, path: &str, words: &[&'static str]) {
        if node.as_str().is_some_and(|text| words.contains(&text)) {
            return;
        }
        let wanted = words.join(", ");
        match node.as_str() {
            Some(text) => {
                self.report(path, node.span, format!("{text:?} is none of {wanted}"));
                self.suggest(text, words.iter().copied());
            }
            None => self.unexpected(node, path, &format!("one of {wanted}")),
        }
    }

    /// Adds what was probably meant to the problem reported last, and returns it.
    fn suggest<'a>(
        &mut self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Option<&'a str> {
        if self.has_more {
            return None;
        }
        let meant = nearest(name, known)?;
        self.add_hint(format!("did you mean {meant:?}?"));
        Some(meant)
    }

    fn check_list(&mut self, node: &Node, path: &str, shape: &Shape) {
        let Some(items) = node.as_sequence() else {
            return self.unexpected(node, path, "a list");
        };
        for (index, item) in items.iter().enumerate() {
            self.check(item, &format!("{path}[{index}]"), shape);
        }
    }

    fn check_names(&mut self, node: &Node, path: &str, shape: &Shape) {
        let Some(map) = node.as_map() else {
            return self.unexpected(node, path, "a map");
        };
        for (key, value) in map.iter() {
            if let Some(name) = self.key_of(key, path) {
                self.check(value, &join(path, &name), shape);
            }
        }
    }

    /// A key as text; other keys than strings and numbers are a problem.
    fn key_of(&mut self, key: &Node, path: &str) -> Option<String> {
        match &key.value {
            Value::String(text) => Some(text.clone()),
            Value::Int(yaml::Int::Small(number)) => Some(number.to_string()),
            _ => {
                let found = key.value.kind();
                self.report(path, key.span, format!("a key is a string, not {found}"));
                None
            }
        }
    }

    fn check_map(&mut self, node: &Node, path: &str, groups: &[&'static [Field]], is_closed: bool) {
        let fields: Vec<Field> = groups.concat();
        self.check_keys(node, path, &fields, |_| !is_closed);
    }

    /// Compares a map with the keys it may have; `is_allowed` says whether another key is no fault.
    fn check_keys(
        &mut self,
        node: &Node,
        path: &str,
        fields: &[Field],
        is_allowed: impl Fn(&str) -> bool,
    ) {
        let Some(map) = node.as_map() else {
            return self.unexpected(node, path, "a map");
        };
        let mut meant = Vec::new();
        for (key, value) in map.iter() {
            let Some(name) = self.key_of(key, path) else {
                continue;
            };
            if let Some(field) = fields.iter().find(|field| field.name == name) {
                self.check(value, &join(path, &name), &field.shape);
            } else if !is_allowed(&name) {
                self.report(path, key.span, format!("unknown key {name:?}"));
                meant.extend(self.suggest(&name, fields.iter().map(|field| field.name)));
            }
        }
        for field in fields.iter().filter(|field| field.is_required) {
            // A slip of the finger is one problem, not two.
            if !map.contains(field.name) && !meant.contains(&field.name) {
                self.report(path, node.span, format!("{:?} is missing", field.name));
            }
        }
    }

    fn check_method(&mut self, node: &Node, path: &str, methods: &Methods) {
        let Some(map) = node.as_map() else {
            return self.unexpected(node, path, "a map");
        };
        let names = || methods.methods.iter().map(|(name, _)| *name);
        let Some(selector) = map.get(methods.selector) else {
            return self.missing_selector(node, path, methods);
        };
        let Some((_, own)) = methods
            .methods
            .iter()
            .find(|(name, _)| selector.as_str() == Some(name))
        else {
            let path = join(path, methods.selector);
            match selector.as_str() {
                Some(name) => {
                    let message = format!("there is no {} {name:?}", methods.kind);
                    self.report(&path, selector.span, message);
                    self.suggest(name, names());
                }
                None => self.unexpected(selector, &path, "a string"),
            }
            return;
        };
        let mut fields = methods.common.concat();
        fields.extend_from_slice(own);
        fields.push(optional(methods.selector, Shape::Anything));
        self.check_keys(node, path, &fields, |name| {
            let mut others = methods.methods.iter().flat_map(|(_, fields)| fields.iter());
            others.any(|field| field.name == name)
        });
    }

    fn missing_selector(&mut self, node: &Node, path: &str, methods: &Methods) {
        let selector = methods.selector;
        let slip = node
            .as_map()
            .into_iter()
            .flat_map(|map| map.iter())
            .find_map(|(key, _)| {
                let name = key.as_str()?;
                nearest(name, [selector]).map(|_| (key, name))
            });
        if let Some((key, name)) = slip {
            let hint = format!("did you mean {selector:?}?");
            return self.report_with_hint(path, key.span, format!("unknown key {name:?}"), hint);
        }
        let names: Vec<&str> = methods.methods.iter().map(|(name, _)| *name).collect();
        let hint = format!("it is one of {}", names.join(", "));
        self.report_with_hint(path, node.span, format!("{selector:?} is missing"), hint);
    }

    fn check_timeout(&mut self, node: &Node, path: &str) {
        const EXAMPLE: &str = "write it as `{minutes: 5}`";
        let Some(map) = node.as_map() else {
            self.unexpected(node, path, "a time limit");
            return self.add_hint(EXAMPLE);
        };
        let mut units = 0;
        for (key, value) in map.iter() {
            let Some(name) = self.key_of(key, path) else {
                continue;
            };
            let path = join(path, &name);
            if name == "skip" {
                self.check(value, &path, &Shape::Bool);
            } else if UNITS.iter().any(|(unit, _)| *unit == name) {
                units += 1;
                self.check(value, &path, &Shape::Integer(1, i64::MAX));
            } else {
                self.report(&path, key.span, format!("unknown unit {name:?}"));
                self.suggest(&name, UNITS.iter().map(|(unit, _)| *unit).chain(["skip"]));
                units += 1;
            }
        }
        if units != 1 {
            let message = "a time limit has one of days, hours, minutes and seconds";
            self.report_with_hint(path, node.span, message, EXAMPLE);
        }
    }

    fn check_device_timeout(&mut self, node: &Node, path: &str) {
        let Some(map) = node.as_map() else {
            return self.unexpected(node, path, "a time limit");
        };
        for (key, value) in map.iter() {
            let name = key.as_str().unwrap_or_default();
            if UNITS.iter().any(|(unit, _)| *unit == name)
                && !value.as_f64().is_some_and(|number| number >= 0.0)
            {
                self.unexpected(value, &join(path, name), "a number");
            }
        }
    }
}
