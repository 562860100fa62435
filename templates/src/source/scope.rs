//! Which variables a nested block sees.
//!
//! In Jinja2 a block sees the variables of the whole template, but not those that a block or loop
//! around it sets; in the engine it sees them all. Device types of LAVA rely on that by accident:
//! one that sets a variable in a block gets the outer value in a block nested in it.
//!
//! So where a block (or a loop outside of all blocks) both binds names and lets other blocks run
//! inside it, its names are renamed throughout its own text, and begin with the outer value:
//!
//! ```jinja
//! {% block a %}{% set x__of_a = x %}{% set x__of_a = 1 %}{% block b %}{{ x }}{% endblock %}
//! ```
//!
//! What Jinja2 does hand on, to included templates and to blocks marked `scoped`, is bound again
//! around them with `{% with %}`. Every include gets one, for what it sets is its own in Jinja2.

use super::{Edit, Tag, TokenKind, scan::Token};
use std::collections::BTreeSet;

/// A block, or a loop outside of all blocks.
struct Region<'a> {
    /// What makes its names its own.
    label: String,
    /// The tag that opens it.
    opening: &'a Tag,
    is_block: bool,
    /// Its own tags: those of blocks nested in it are theirs.
    tags: Vec<&'a Tag>,
    /// Includes, and blocks marked `scoped`: they are handed the names of this region.
    handed_on: Vec<(&'a Tag, &'a Tag)>,
    /// Whether another block may run inside it.
    runs_blocks: bool,
    /// Loops that are open, when this is a loop.
    depth: usize,
}

/// The renamings that make the engine hide what Jinja2 hides.
pub(super) fn edits(text: &str, tags: &[Tag]) -> Vec<Edit> {
    let regions = regions(text, tags);
    let renamed = regions.iter().filter(|region| region.runs_blocks);
    let mut edits: Vec<Edit> = renamed.flat_map(|region| region.edits(text)).collect();
    // Inside whatever else is put around the include, so after it in the list where it begins
    // and before it where it ends.
    let includes = tags
        .iter()
        .filter(|tag| tag.keyword(text) == Some("include"));
    for include in includes {
        let [begin, end] = around(text, include, include, "");
        edits.push(begin);
        edits.insert(0, end);
    }
    edits
}

/// `{% with … %}` and `{% endwith %}` around everything from one tag to another.
fn around(text: &str, first: &Tag, last: &Tag, list: &str) -> [Edit; 2] {
    let (opening, closing) = (first.opening_mark(text), last.closing_mark(text));
    let begin = Edit {
        range: first.range.start..first.range.start,
        text: format!("{{%{opening} with {list} %}}"),
    };
    let end = Edit {
        range: last.range.end..last.range.end,
        text: format!("{{% endwith {closing}%}}"),
    };
    [begin, end]
}

/// All regions that close; text whose blocks do not match is the engine's to refuse.
fn regions<'a>(text: &'a str, tags: &'a [Tag]) -> Vec<Region<'a>> {
    let mut open: Vec<Region<'a>> = Vec::new();
    let mut closed = Vec::new();
    for tag in tags {
        let keyword = tag.keyword(text);
        if let Some(region) = open.last_mut() {
            region.runs_blocks |= runs_blocks(text, tag);
        }
        match keyword {
            Some("block") => open.push(Region::new(text, tag, open.len(), true)),
            Some("endblock") => {
                let is_block = open.last().is_some_and(|region| region.is_block);
                if let Some(region) = open.pop_if(|_| is_block) {
                    let outer = open.last_mut();
                    if let Some(outer) = outer.filter(|_| is_scoped(text, region.opening)) {
                        outer.handed_on.push((region.opening, tag));
                    }
                    closed.push(region);
                }
            }
            Some("for") if open.is_empty() => {
                let mut region = Region::new(text, tag, 0, false);
                region.tags.push(tag);
                open.push(region);
            }
            _ => {
                let Some(region) = open.last_mut() else {
                    continue;
                };
                region.tags.push(tag);
                match keyword {
                    Some("include") => region.handed_on.push((tag, tag)),
                    Some("for") => region.depth += 1,
                    Some("endfor") if !region.is_block && region.depth == 0 => {
                        closed.extend(open.pop());
                    }
                    Some("endfor") => region.depth = region.depth.saturating_sub(1),
                    _ => {}
                }
            }
        }
    }
    closed
}

/// Whether a tag makes another block run: one nested here, a parent's, or one called by name.
fn runs_blocks(text: &str, tag: &Tag) -> bool {
    let word = |token: &Token| &text[token.range.clone()];
    tag.keyword(text) == Some("block")
        || tag.tokens.windows(2).any(|pair| {
            matches!(
                (word(&pair[0]), word(&pair[1])),
                ("super", "(") | ("self", ".")
            )
        })
}

fn is_scoped(text: &str, block: &Tag) -> bool {
    block
        .tokens
        .iter()
        .skip(2)
        .any(|token| &text[token.range.clone()] == "scoped")
}

impl<'a> Region<'a> {
    fn new(text: &str, opening: &'a Tag, nesting: usize, is_block: bool) -> Self {
        let name = opening
            .tokens
            .get(1)
            .map_or("", |token| &text[token.range.clone()]);
        let label = if is_block {
            format!("of_{name}")
        } else {
            format!("of_loop_{}", opening.range.start + nesting)
        };
        Self {
            label,
            opening,
            is_block,
            tags: Vec::new(),
            handed_on: Vec::new(),
            runs_blocks: false,
            depth: 0,
        }
    }

    fn edits(&self, text: &str) -> Vec<Edit> {
        let mut bound = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for tag in &self.tags {
            bindings(text, tag, &mut bound, &mut kept);
        }
        bound.retain(|name| !kept.contains(name));
        if bound.is_empty() {
            return Vec::new();
        }
        let renamed = |name: &str| format!("{name}__{}", self.label);
        let mut edits = vec![self.initial_values(text, &bound, renamed)];
        for tag in &self.tags {
            for token in variables(text, tag) {
                let name = &text[token.range.clone()];
                if bound.contains(name) {
                    edits.push(Edit {
                        range: token.range.clone(),
                        text: renamed(name),
                    });
                }
            }
        }
        for (first, last) in &self.handed_on {
            let list: Vec<String> = bound
                .iter()
                .map(|name| format!("{name} = {}", renamed(name)))
                .collect();
            edits.extend(around(text, first, last, &list.join(", ")));
        }
        edits
    }

    /// Where the region begins, its names have the values they have outside.
    fn initial_values(
        &self,
        text: &str,
        bound: &BTreeSet<&str>,
        renamed: impl Fn(&str) -> String,
    ) -> Edit {
        let (place, before, after) = if self.is_block {
            // After the tag: what follows it is trimmed as the tag's own mark says.
            let mark = self.opening.closing_mark(text);
            (self.opening.range.end, "", mark)
        } else {
            let mark = self.opening.opening_mark(text);
            (self.opening.range.start, mark, "")
        };
        let text = bound
            .iter()
            .map(|name| format!("{{%{before} set {} = {name} {after}%}}", renamed(name)))
            .collect();
        Edit {
            range: place..place,
            text,
        }
    }
}

/// The names a tag binds, and those that must keep their spelling (parameters of macros).
fn bindings<'t>(
    text: &'t str,
    tag: &Tag,
    bound: &mut BTreeSet<&'t str>,
    kept: &mut BTreeSet<&'t str>,
) {
    let word = |token: &Token| &text[token.range.clone()];
    let names = |tokens: &[Token], into: &mut BTreeSet<&'t str>| {
        for (index, token) in tokens.iter().enumerate() {
            let next = tokens.get(index + 1).map(|token| token.kind);
            // `ns.x` assigns to something that is already there.
            let touches_dot = next == Some(TokenKind::Symbol('.'))
                || index > 0 && tokens[index - 1].kind == TokenKind::Symbol('.');
            if token.kind == TokenKind::Name && !touches_dot {
                into.insert(&text[token.range.clone()]);
            }
        }
    };
    let tokens = &tag.tokens[..];
    let until = |end: fn(&str) -> bool| {
        let end = tokens.iter().position(|token| end(word(token)));
        &tokens[1..end.unwrap_or(tokens.len()).max(1)]
    };
    match tag.keyword(text) {
        Some("set") => names(until(|word| word == "=" || word == "|"), bound),
        Some("for") => names(until(|word| word == "in"), bound),
        Some("with") => {
            for pair in tokens.windows(2) {
                if pair[1].kind == TokenKind::Symbol('=') {
                    names(&pair[..1], bound);
                }
            }
        }
        Some("macro" | "call" | "import" | "from") => names(&tokens[1..], kept),
        _ => {}
    }
}

/// The names in a tag that are variables: no keywords, attributes, filters, tests or arguments.
fn variables<'a>(text: &'a str, tag: &'a Tag) -> impl Iterator<Item = &'a Token> {
    let word = |token: &Token| &text[token.range.clone()];
    let keyword = tag.keyword(text);
    let is_with = keyword == Some("with");
    let tokens = &tag.tokens;
    let depths = tokens.iter().scan(0_i32, |depth, token| {
        match token.kind {
            TokenKind::Symbol('(' | '[' | '{') => *depth += 1,
            TokenKind::Symbol(')' | ']' | '}') => *depth -= 1,
            _ => {}
        }
        Some(*depth)
    });
    tokens
        .iter()
        .zip(depths)
        .enumerate()
        .filter(move |(index, (token, depth))| {
            if token.kind != TokenKind::Name || (*index == 0 && keyword.is_some()) {
                return false;
            }
            let before = index.checked_sub(1).map_or("", |at| word(&tokens[at]));
            let earlier = index.checked_sub(2).map_or("", |at| word(&tokens[at]));
            let after = tokens.get(index + 1).map_or("", word);
            let is_filter_tag = *index == 1 && keyword == Some("filter");
            let is_test = before == "is" || (before == "not" && earlier == "is");
            let is_argument = after == "=" && *depth > 0 && !is_with;
            let is_include_word = keyword == Some("include")
                && matches!(
                    word(token),
                    "ignore" | "missing" | "with" | "without" | "context"
                );
            let is_part = before == "." || before == "|";
            !(is_part || is_filter_tag || is_test || is_argument || is_include_word)
        })
        .map(|(_, (token, _))| token)
}

#[cfg(test)]
mod tests {
    fn prepared(text: &str) -> String {
        super::super::prepare("test", text).unwrap()
    }

    #[test]
    fn blocks_without_blocks_in_them_stay_as_they_are() {
        for text in [
            "{% set x = 1 %}{% block a %}{% set x = 2 %}{{ x }}{% endblock %}",
            "{% block a %}{% block b %}{{ x }}{% endblock %}{% endblock %}",
            "{% for x in y %}{{ x }}{% endfor %}",
        ] {
            assert_eq!(prepared(text), text);
        }
    }

    #[test]
    fn names_of_a_block_are_hidden_from_blocks_in_it() {
        assert_eq!(
            prepared(
                "{% block a -%}{% set x = x.x|x(x=x) %}\
                 {% block b %}{{ x }}{% endblock %}{{ x is x }}{% endblock %}"
            ),
            "{% block a -%}{% set x__of_a = x -%}{% set x__of_a = x__of_a.x|x(x=x__of_a) %}\
             {% block b %}{{ x }}{% endblock %}{{ x__of_a is x }}{% endblock %}"
        );
    }

    #[test]
    fn names_of_a_loop_are_hidden_from_blocks_in_it() {
        assert_eq!(
            prepared("{% for x in y %}{% block b %}{{ x }}{% endblock %}{{ x }}{% endfor %}"),
            "{% set x__of_loop_0 = x %}{% for x__of_loop_0 in y %}\
             {% block b %}{{ x }}{% endblock %}{{ x__of_loop_0 }}{% endfor %}"
        );
    }

    #[test]
    fn scoped_blocks_and_includes_see_them_all_the_same() {
        assert_eq!(
            prepared(
                "{% block a %}{% set x = 1 %}{% include 'i' %}\
                 {%- block b scoped %}{{ x }}{% endblock -%}{% endblock %}"
            ),
            "{% block a %}{% set x__of_a = x %}{% set x__of_a = 1 %}\
             {% with x = x__of_a %}{% with  %}{% include 'i' %}{% endwith %}{% endwith %}\
             {%- with x = x__of_a %}{%- block b scoped %}{{ x }}{% endblock -%}{% endwith -%}\
             {% endblock %}"
        );
    }
}
