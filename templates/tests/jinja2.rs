//! The same templates through Jinja2 and through us.

#[cfg(test)]
mod support;

use serde_json::json;
use support::{Case, jinja2};

/// Expressions that print; `EXPRESSIONS` are checked as `{{ … }}`.
const EXPRESSIONS: &[&str] = &[
    "true",
    "none",
    "[1, 'a', true, none, unset]",
    "{'a': [1, {}], 'b': 'it\\'s'}",
    "1.0",
    "1e20",
    "0.00001",
    "1 / 2",
    "7 // 2",
    "-7 // 2",
    "-7 % 3",
    "2 ** 10",
    "(1, 2)",
    "(1,)",
    "()",
    "'a' ~ 1 ~ 'b'",
    "'a' + 'b'",
    "[1] + [2] + ['x']",
    "unset",
    "[unset]",
    "unset ~ 'x'",
    "unset|default('x')",
    "unset|default",
    "''|default('x')",
    "''|default('x', true)",
    "''|default('x', boolean=true)",
    "unset|default(default_value='y')",
    "none|default('x')",
    "unset|d('x')",
    "['echo', '-ne', '12:1234\\n1:1234']",
    "'a\\/b\\.c\\d\\a|\\v'",
    "'\\x41\\u00e9'",
    "'\\U0001F600'",
    "['\\t\\r\\\\ é \\x1b \"']",
    "['it\\'s \"x\"']",
    "[1, true, none, 'x', 1.5]|join(', ')",
    "[1, 2]|join",
    "unset|join(',')",
    "'abc'|join('-')",
    "[{'a': 1}, {'a': 2}]|join(',', attribute='a')",
    "true|string",
    "[1, 'a']|string",
    "'a,b'|replace(',', ';')",
    "5|replace('5', 'x')",
    "'aaa'|replace('a', 'b', 2)",
    "'a\\nb\\n\\nc\\n'|indent",
    "'a\\nb\\n\\nc\\n'|indent(2, true)",
    "'a\\nb'|indent(first=True, width=6)",
    "'a\\n\\nb'|indent(2, blank=true)",
    "'a\\nb'|indent('>> ')",
    "''|indent(2, true)",
    "'12'|int",
    "'x'|int",
    "'x'|int(7)",
    "'0x1f'|int(base=16)",
    "'1_000'|int",
    "'3.9'|int",
    "unset|int",
    "none|int(default=3)",
    "'1.5'|float",
    "'x'|float",
    "3|float",
    "true|int",
    "'  x '|trim",
    "'x'|upper",
    "'hello world'|title",
    "'hello'|capitalize",
    "[3, 1, 2]|sort",
    "[1, 2, 3]|first",
    "[1, 2, 3]|last",
    "[]|first",
    "'abc'|length",
    "{'a': 1}|length",
    "[1, 1, 2]|unique|list",
    "[1, 2, 3]|sum",
    "[1, 2, 3]|max",
    "-3|abs",
    "2.567|round(2)",
    "2.5|round",
    "{'b': 1, 'a': 2}|dictsort",
    "'a b c'.split()",
    "'a,b'.split(',')",
    "'abc'.startswith('a')",
    "'abc'.upper()",
    "'x'.join(['a', 'b'])",
    "{'a': 1}.get('a')",
    "{'a': 1}.get('b', 'x')",
    "{'a': 1}.get('b')",
    "'{} {}'.format('a', 1)",
    "'%s-%d' % ('a', 3)",
    "'%s' % 'x'",
    "'%s=%s'|format('a', true)",
    "'a' in 'abc'",
    "1 in [1, 2]",
    "'x' not in {'a': 1}",
    "not true",
    "1 if true else 2",
    "1 if false",
    "1 < 2 < 3",
    "1 == 1.0",
    "'a' == 'a' and 2",
    "0 or 'x'",
    "unset is defined",
    "unset is undefined",
    "'x' is string",
    "[] is iterable",
    "1 is number",
    "{} is mapping",
    "[] is sequence",
    "none is none",
    "3 is odd",
    "4 is divisibleby 2",
    "true is sameas true",
    "3 is sameas 3",
    "1 is eq 1",
    "'abc'[0]",
    "'abc'[1:]",
    "[1, 2, 3][::-1]",
    "[1, 2, 3][-1]",
    "{'a': {'b': 2}}.a.b",
    "{'a': 1}['a']",
    "{'a': 1}.b",
    "[1].x",
    "range(3)|list",
    "dict(a=1, b='x')",
    "'two words'|shlex_quote",
    "''|shlex_quote",
    "'it\\'s'|shlex_quote",
    "unset|shlex_quote",
    "'a \"b\"\\n'|yaml_quote",
    "5|yaml_quote",
    "['a', 1, true, none]|yaml_quote",
    "{'a': 'é'}|yaml_quote",
    "'é\\x7f\\u2028'|yaml_quote",
    "'amd64'|qemu_guest_fs_interface(unset)",
    "'arm64'|qemu_guest_fs_interface('')",
    "'arm64'|qemu_guest_fs_interface('scsi')",
    "number",
    "text",
    "list",
    "list|join(' ')",
    "big",
    "'<&>'",
    "'a'|e",
    "'x' * 3",
    "[0] * 2",
    "'a' ~ true",
    "'a' ~ [none]",
    "1_000",
    "0x1F",
    "0b101",
    "'a' 'b'",
    "{1: 'x'}",
    "{1: 'x'}[1]",
    "true + 1",
    "'é'|length",
    "debug",
    "[debug]",
    "'a'|batch(1)|list",
    "[1, 2]|reverse|list",
    "'abc'|reverse",
    "[{'a': 1}]|map(attribute='a')|list",
    "['a']|map('upper')|list",
    "[0, 1]|select|list",
    "[0, 1]|reject|list",
    "'a\\tb'|list",
];

/// Whole templates.
fn templates() -> Vec<Case> {
    let base = "x: {{ x }}\n{% set y = y|default('base y') %}\n{% block outer %}\n\
        {% set x = 'outer' %}\n{% set z = 1 %}\n{{ x }} {{ y }}\n{% block inner %}\n\
        in: {{ x }} {{ y }} {{ z }}\n{% endblock inner %}\nafter {{ x }}\n{% endblock %}\nend";
    vec![
        Case::new("a\n{% if true %}\nb\n{% endif %}\nc\n"),
        Case::new("a\n  {% if true %}\n  b\n  {% endif %}\nc\n\n"),
        Case::new("a {%- if true -%} b {%- endif %} c"),
        Case::new("a\n{%+ if true +%}\nb\n{% endif -%}\n\n c"),
        Case::new("{# comment #}\nx{# c #}\ny\r\nz\r{{ 1 }}\r\n"),
        Case::new("{% raw %}{{ x }}{% endraw %}\n{% raw -%} {% if %} {%- endraw %}"),
        Case::new("{% for a, b in {'k': 1, 'l': 2}.items() %}{{ a }}={{ b }},{% endfor %}"),
        Case::new("{% for a in [3, 4] %}{{ loop.index }}{{ loop.last }}{{ a }}{% else %}no{% endfor %}"),
        Case::new("{% for a in [] %}{% else %}none{% endfor %}{% for a in unset %}{% endfor %}"),
        Case::new("{% set x = 1 %}{% for i in [1, 2] %}{% set x = i %}{{ x }}{% endfor %}{{ x }}"),
        Case::new("{% set ns = namespace(x=1) %}{% for i in [1, 2] %}{% set ns.x = i %}{% endfor %}{{ ns.x }}"),
        Case::new("{% set x %}a{{ 1 }}b{% endset %}[{{ x }}]{% set a, b = 1, 2 %}{{ a }}{{ b }}"),
        Case::new("{% filter indent(2) %}a\nb\n{% endfilter %}|{% filter upper %}x{{ 'y' }}{% endfilter %}"),
        Case::new("{% filter yaml_quote %}{% filter shlex_quote -%}\n two words {%- endfilter %}{% endfilter %}"),
        Case::new("{% macro m(a, b=2) %}{{ a }}-{{ b }}{% endmacro %}{{ m(1) }} {{ m(1, b=3) }}"),
        Case::new("{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}"),
        Case::new("{% include 'part' %}|{% include 'none' ignore missing %}|{{ x }}")
            .with("part", "{% set x = 2 %}p{{ x }}\n"),
        Case::new("{% set x = 1 %}{% block a %}{% set y = 2 %}{% include 'part' %}{% block b %}{{ y }}{% endblock %}{% endblock %}")
            .with("part", "{{ x }}{{ y }}"),
        Case::new("{% extends 'base' %}lost{% set x = 'child' %}{{ lost }}").with("base", base),
        Case::new("{% extends 'base' %}{% set y = 'child y' %}{% block inner %}child {{ x }}{{ y }}{{ z }}{% endblock %}")
            .with("base", base),
        Case::new("{% extends 'base' %}{% block inner %}<{{ super() }}>{% set z = 5 %}{{ z }}{% endblock %}")
            .with("base", base),
        Case::new("{% extends 'base' %}{% block outer %}{% set x = 9 %}<{{ super() }}>{{ x }}{% endblock %}")
            .with("base", base),
        Case::new("{% extends 'middle' %}{% block outer %}<{{ super() }}>{% endblock %}")
            .with("middle", "{% extends 'base' %}{% set x = 'middle' %}{% block outer %}{% set y = 7 %}[{{ super() }}]{{ y }}{% endblock %}")
            .with("base", base),
        Case::new("{% block a %}{% set x = 1 %}{{ self.b() }}{% endblock %}{% block b %}({{ x }}){% endblock %}"),
        Case::new("{% block a %}{% set x = 1 %}{% block b scoped %}({{ x }}){% endblock %}{% endblock %}"),
        Case::new("{% for x in [1, 2] %}{% block b %}({{ x }}){% endblock %}{% endfor %}"),
        Case::new("{% for x in [1, 2] %}{% block b scoped %}({{ x }}){% endblock %}{% endfor %}"),
        Case::new("{% if true %}{% set x = 1 %}{% endif %}{% block b %}({{ x }}){% endblock %}"),
        Case::new("{% block a %}{% if false %}{% set x = 1 %}{% endif %}{{ x }}{% block b %}{{ x }}{% endblock %}{% endblock %}")
            .set("x", json!("context")),
        Case::new("key: {{ unset }}\nlist:\n- {{ unset }}\n- '{{ list|join(\"', '\") }}'\n"),
        Case::new("{% if unset %}a{% elif list %}b{% else %}c{% endif %}{% if not number %}d{% endif %}"),
        Case::new("{{ unset.x }}"),
        Case::new("{{ unset + 1 }}"),
        Case::new("{{ unset() }}"),
        Case::new("{{ 'a' + 1 }}"),
        Case::new("{{ x|nofilter }}"),
        Case::new("{% extends 'missing' %}"),
        Case::new("{% if %}"),
        Case::new("{{ 'a' }"),
        Case::new("{% block a %}{% block a %}{% endblock %}{% endblock %}"),
        Case::new("{{ ''.__class__.__mro__ }}"),
        Case::new("{{ (''|attr('__class__')).__mro__ }}"),
    ]
}

/// The device types of the project with their fixtures.
fn device_types() -> Vec<Case> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../device-types");
    let files = |folder: String| {
        fs_err::read_dir(folder)
            .expect("the device types are beside this crate")
            .map(|entry| entry.expect("a readable folder").path())
            .map(|path| {
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                (name, fs_err::read_to_string(path).expect("a readable file"))
            })
            .collect::<Vec<_>>()
    };
    let templates = files(format!("{folder}/templates"));
    files(format!("{folder}/fixtures"))
        .iter()
        .map(|(_, fixture)| {
            let case = Case::new(fixture).set("scheduled_device_name", json!("board-01"));
            templates
                .iter()
                .fold(case, |case, (name, text)| case.with(name, text))
        })
        .collect()
}

/// Differences we know and document at `Renderer`.
const KNOWN: &[&str] = &["'%s-%d' % ", "'%s' % "];

/// Numbers that look random; the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// Reads all variables. In Jinja2 a loop that reads what is set only after the loop finds it
/// unset, whatever it was before: a known difference that is left out by reading everything first.
const READ: &str = "{% if x or y or z %}{% endif %}";

/// Where a statement stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Outside of blocks, in a template that extends nothing.
    Root,
    /// Outside of blocks, in a template that extends another.
    Child,
    /// In a block.
    Block,
}

/// Statements about three variables; `blocks` are names that are still free.
///
/// What prints nothing to us in a template that extends another, outside of its blocks, but does
/// print in Jinja2 (includes, and blocks in loops) is a known difference and is left out.
fn statements(random: &mut Random, blocks: &mut Vec<&str>, depth: usize, place: Place) -> String {
    let mut text = String::new();
    for _ in 0..1 + random.below(4) {
        let (x, y) = (random.pick(&["x", "y", "z"]), random.pick(&["x", "y", "z"]));
        let mark = random.pick(&["", "", "-"]);
        let next = random.below(if depth < 4 { 9 } else { 4 });
        let mut nested = || statements(random, blocks, depth + 1, place);
        text += &match next {
            0 => format!("{{% set {x} = {y} ~ '{depth}' %}}\n"),
            1 => format!("{{{{ {x} }}}},\n"),
            2 => format!("{{% set {x} = {y}|default('{depth}d', true) {mark}%}}\n"),
            3 if place == Place::Block => "<{{ super() if has_parent }}>".to_owned(),
            4 => format!("{{% if {x} == '1' %}}{}{{% endif {mark}%}}\n", nested()),
            5 if place != Place::Child => {
                format!(
                    "{{% for {x} in [{y}, 7] %}}{READ}\n{}{{% endfor %}}\n",
                    nested()
                )
            }
            6 if place != Place::Child => "{% include 'part' %}\n".to_owned(),
            7 | 8 if !blocks.is_empty() => {
                let name = blocks.remove(random.below(blocks.len()));
                let scoped = random.pick(&["", "", " scoped"]);
                let body = statements(random, blocks, depth + 1, Place::Block);
                format!("{{% block {name}{scoped} {mark}%}}\n{READ}{body}{{%{mark} endblock %}}\n")
            }
            _ => "text\n".to_owned(),
        };
    }
    text
}

fn random_case(random: &mut Random) -> Case {
    let mut template = |extends: &str| {
        let mut blocks = vec!["a", "b", "c", "d"];
        let place = if extends.is_empty() {
            Place::Root
        } else {
            Place::Child
        };
        let text = statements(random, &mut blocks, 0, place);
        let has_parent = if extends.is_empty() { "false" } else { "true" };
        // Asked for in every block, so that it must not be a variable of one template.
        let text = text.replace("super() if has_parent", &format!("super() if {has_parent}"));
        if extends.is_empty() {
            format!("{READ}{text}")
        } else {
            format!("{{% extends '{extends}' %}}{READ}{text}")
        }
    };
    let (base, middle, main) = (template(""), template("base"), template("middle"));
    Case::new(&main)
        .with("middle", &middle)
        .with("base", &base)
        .with("part", "[{{ x }}{{ y }}{{ z }}]")
        .set("y", json!("ctx"))
}

#[test]
fn blocks_see_what_they_see_in_jinja2() {
    let seed = match std::env::var("PUMICE_TEST_SEED") {
        Ok(seed) => seed.parse().expect("PUMICE_TEST_SEED is a number"),
        Err(_) => 0x9e37_79b9_7f4a_7c15,
    };
    let mut random = Random(seed);
    let cases: Vec<Case> = (0..400).map(|_| random_case(&mut random)).collect();
    let Some(expected) = jinja2(&cases) else {
        return;
    };
    let mut failures = 0;
    for (case, expected) in cases.iter().zip(expected) {
        let ours = case.render();
        failures += usize::from(expected.is_err());
        let is_same = match (&ours, &expected) {
            (Ok(ours), Ok(expected)) => ours == expected,
            (ours, expected) => ours.is_err() == expected.is_err(),
        };
        assert!(
            is_same,
            "seed {seed}\n{case:#?}\n  Jinja2: {expected:?}\n  we:     {ours:?}"
        );
    }
    // The cases must say something: most of them render.
    assert!(
        failures * 2 < cases.len(),
        "{failures} of {} fail",
        cases.len()
    );
}

#[test]
fn renders_what_jinja2_renders() {
    let expressions = EXPRESSIONS
        .iter()
        .map(|expression| Case::new(&format!("<{{{{ {expression} }}}}>")));
    let cases: Vec<Case> = expressions
        .chain(templates())
        .chain(device_types())
        .map(|case| {
            case.set("number", json!(512))
                .set("text", json!("it's \"text\"\n"))
                .set("list", json!(["-cpu max", 5]))
                .set("big", json!(9007199254740993_i64))
        })
        .collect();
    let Some(expected) = jinja2(&cases) else {
        return;
    };
    let mut different = Vec::new();
    for (case, expected) in cases.iter().zip(expected) {
        let ours = case.render();
        let main = &case.templates["main"];
        let is_same = match (&ours, &expected) {
            (Ok(ours), Ok(expected)) => ours == expected,
            (Err(_), Err(_)) => true,
            _ => false,
        };
        let is_known = KNOWN.iter().any(|known| main.contains(known));
        if is_same == is_known {
            let ours = ours.map_err(|error| error.to_string());
            different.push(format!(
                "{main:?}\n  Jinja2: {expected:?}\n  we:     {ours:?}"
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        cases.len(),
        different.join("\n")
    );
}
