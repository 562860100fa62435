//! Where templates come from, what stops them, and what errors say.

#[cfg(test)]
mod support;

use support::Case;
use templates::{Device, Error, ErrorKind, Origin, Rendered, Renderer, Scheduled};

fn render(renderer: &Renderer, device: Device<'_>) -> Result<Rendered, Error> {
    renderer.render(device, &yaml::Map::new(), Scheduled::default())
}

fn text(text: &str) -> Result<Rendered, Error> {
    render(
        &Renderer::new(),
        Device::Text {
            name: "test.jinja2",
            text,
        },
    )
}

#[test]
fn directories_are_searched_in_order_and_then_the_embedded_templates() {
    let (devices, types) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs_err::write(
        devices.path().join("board.jinja2"),
        "{% extends 'type.jinja2' %}",
    )
    .unwrap();
    fs_err::write(types.path().join("board.jinja2"), "not this one").unwrap();
    fs_err::write(
        types.path().join("type.jinja2"),
        "{% extends 'base.jinja2' %}",
    )
    .unwrap();
    let renderer = Renderer::new()
        .with_directory(devices.path().join("absent"))
        .with_directory(devices.path())
        .with_directory(types.path())
        .with_embedded(&[("base.jinja2", "base"), ("type.jinja2", "nor this one")]);
    let rendered = render(&renderer, Device::Template("board.jinja2")).unwrap();
    assert_eq!(rendered.text, "base");
    let origins: Vec<_> = rendered
        .templates
        .iter()
        .map(|template| (template.name.as_str(), template.origin.clone()))
        .collect();
    assert_eq!(
        origins,
        [
            (
                "board.jinja2",
                Origin::File(devices.path().join("board.jinja2"))
            ),
            (
                "type.jinja2",
                Origin::File(types.path().join("type.jinja2"))
            ),
            ("base.jinja2", Origin::Embedded),
        ]
    );
    assert_eq!(
        renderer.names(),
        ["base.jinja2", "board.jinja2", "type.jinja2"]
    );
}

#[test]
fn nothing_outside_the_directories_is_read() {
    let root = tempfile::tempdir().unwrap();
    let inside = root.path().join("inside");
    fs_err::create_dir(&inside).unwrap();
    fs_err::write(root.path().join("secret"), "secret").unwrap();
    fs_err::write(inside.join("plain"), "plain").unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("escape")).unwrap();
    std::os::unix::fs::symlink("plain", inside.join("link")).unwrap();
    fs_err::create_dir(inside.join("folder")).unwrap();
    let renderer = Renderer::new().with_directory(&inside);
    let read = |name: &str| render(&renderer, Device::Template(name));
    assert_eq!(read("plain").unwrap().text, "plain");
    assert_eq!(read("link").unwrap().text, "plain");
    let absolute = root.path().join("secret");
    for name in [
        "../secret",
        "folder/../../secret",
        "./plain",
        absolute.to_str().unwrap(),
        "escape",
        "folder",
        "",
        "plain\0",
    ] {
        assert_eq!(read(name).unwrap_err().kind, ErrorKind::Refused, "{name:?}");
    }
    let include = render(
        &renderer,
        Device::Text {
            name: "test",
            text: "\n{% include '../secret' %}",
        },
    )
    .unwrap_err();
    assert_eq!(include.kind, ErrorKind::Refused);
    assert_eq!(
        (include.template.as_deref(), include.line),
        (Some("test"), Some(2))
    );
}

#[test]
fn large_and_binary_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs_err::write(directory.path().join("large"), vec![b' '; 1024 * 1024 + 1]).unwrap();
    fs_err::write(directory.path().join("binary"), b"\xff\xfe").unwrap();
    let renderer = Renderer::new().with_directory(directory.path());
    let kind = |name| render(&renderer, Device::Template(name)).unwrap_err().kind;
    assert_eq!(kind("large"), ErrorKind::Refused);
    assert_eq!(kind("binary"), ErrorKind::Unreadable);
}

#[test]
fn errors_name_template_line_and_remedy() {
    for (template, kind, expected) in [
        (
            "{% extends 'tpye.jinja2' %}",
            ErrorKind::NotFound,
            "test.jinja2:1: there is no template \"tpye.jinja2\" (did you mean \"type.jinja2\"? \
             searched: the built-in device types)",
        ),
        ("a\n{% if %}\n", ErrorKind::Syntax, "test.jinja2:2: "),
        (
            "a\n\n{{ 'x' + 1 }}",
            ErrorKind::Evaluation,
            "test.jinja2:3: ",
        ),
        (
            "{{ a.b }}",
            ErrorKind::Evaluation,
            "test.jinja2:1: undefined value: ",
        ),
        (
            "{% set a = 1 %}\n{{ a|nope }}",
            ErrorKind::Evaluation,
            "test.jinja2:2: ",
        ),
        (
            "\n{{ [1].append(2) }}",
            ErrorKind::Evaluation,
            "test.jinja2:2: ",
        ),
        (
            "\n{{ a.__class__ }}",
            ErrorKind::Refused,
            "test.jinja2:2: access to \"__class__\" is not allowed",
        ),
        (
            "\n{{ a|attr('__class__') }}",
            ErrorKind::Refused,
            "test.jinja2:2: access to \"__class__\" is not allowed",
        ),
        (
            "{% extends 'broken.jinja2' %}",
            ErrorKind::Evaluation,
            "broken.jinja2:2: ",
        ),
        (
            "{% extends 'type.jinja2' %}{% block a %}\n{{ 1 / 0 }}{% endblock %}",
            ErrorKind::Evaluation,
            "test.jinja2:2: ",
        ),
    ] {
        let renderer = Renderer::new().with_embedded(&[
            ("type.jinja2", "{% block a %}{% endblock %}"),
            ("broken.jinja2", "x\n{{ [] + 1 }}"),
        ]);
        let device = Device::Text {
            name: "test.jinja2",
            text: template,
        };
        let error = render(&renderer, device).unwrap_err();
        assert_eq!(error.kind, kind, "{template:?}: {error}");
        assert!(
            error.to_string().starts_with(expected),
            "{template:?}: {error}"
        );
    }
}

#[test]
fn runaway_templates_end() {
    for template in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include 'test.jinja2' %}",
        "{% set n = namespace(x=[]) %}{% for a in range(99999) %}{% set n.x = [n.x] %}{% endfor %}",
        "{% set n = namespace(x=[]) %}{% for a in range(99999) %}{% set n.x = {1: n.x} %}{% endfor %}",
        "{% set n = namespace(x=[]) %}{% for a in range(99999) %}{% set n.x = n.x + [a] %}{% endfor %}",
        "{% for a in range(9999) %}{{ 'x' * 1000000 }}{% endfor %}",
        "{% set n = namespace(x=[]) %}{% for a in range(9999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
    ] {
        let error = text(template).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Limit, "{template:?}: {error}");
    }
    let itself = text("{% extends 'test.jinja2' %}").unwrap_err();
    assert_eq!(itself.kind, ErrorKind::Evaluation);
}

#[test]
fn what_nobody_set_is_told_when_it_is_printed_in_a_list() {
    let rendered =
        text("a: {{ unset }}\nb: {{ [{'id': unset}] }}\nc: {{ [{'id': unset}] }}").unwrap();
    assert_eq!(rendered.unset, ["[{'id': Undefined}]"]);
    assert_eq!(text("a: {{ [1] }}").unwrap().unset, Vec::<String>::new());
}

#[test]
fn the_scheduler_wins_over_the_context_and_settings_win_over_it() {
    let mut context = yaml::Map::new();
    for name in ["scheduled_device_name", "memory", "cpu"] {
        context.insert(name, "from the context");
    }
    let mut settings = yaml::Map::new();
    settings.insert("memory", yaml::Value::from(512));
    let renderer = Renderer::new().with_embedded(&[(
        "qemu.jinja2",
        "{{ scheduled_device_name }}, {{ scheduled_device_type }}, {{ memory }}, {{ cpu }}",
    )]);
    let scheduled = Scheduled {
        device_name: Some("qemu01"),
        device_type: Some("qemu"),
    };
    let rendered = renderer
        .render(
            Device::Type {
                name: "qemu",
                settings: &settings,
            },
            &context,
            scheduled,
        )
        .unwrap();
    assert_eq!(rendered.text, "qemu01, qemu, 512, from the context");
}

#[test]
fn names_of_types_and_settings_are_no_templates() {
    let mut settings = yaml::Map::new();
    settings.insert("a = 1 %}{% set b", "x");
    let renderer = Renderer::new().with_embedded(&[("qemu.jinja2", "")]);
    for device in [
        Device::Type {
            name: "qemu",
            settings: &settings,
        },
        Device::Type {
            name: "a' %}{{ 1 }}",
            settings: &yaml::Map::new(),
        },
    ] {
        assert_eq!(
            render(&renderer, device).unwrap_err().kind,
            ErrorKind::Refused
        );
    }
}

#[test]
fn values_of_the_context_keep_their_types() {
    let case = Case::new("{{ [n, f, t, z, l, m] }}")
        .set("n", 5.into())
        .set("f", 1.5.into())
        .set("t", true.into())
        .set("z", serde_json::Value::Null)
        .set("l", vec!["a"].into())
        .set("m", serde_json::json!({"b": {}}));
    assert_eq!(
        case.render().unwrap(),
        "[5, 1.5, True, None, ['a'], {'b': {}}]"
    );
}
