//! Each fixture device as our device types render it.

use templates::{Device, Rendered, Renderer, Scheduled};

fn render(device: Device<'_>, context: &yaml::Map) -> Rendered {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let scheduled = Scheduled {
        device_name: Some("board-01"),
        device_type: Some("board"),
    };
    Renderer::new()
        .with_directory(fixtures)
        .with_embedded(device_types::TEMPLATES)
        .render(device, context, scheduled)
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn fixtures_render_as_recorded() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let mut names: Vec<String> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for device_type in device_types::names() {
        let fixture = format!("{device_type}-01.jinja2");
        assert!(names.contains(&fixture), "{device_type} has no fixture");
    }
    for name in names {
        let rendered = render(Device::Template(&name), &yaml::Map::new());
        assert_eq!(rendered.unset, Vec::<String>::new(), "{name}");
        insta::assert_snapshot!(name.trim_end_matches(".jinja2"), rendered.text);
    }
}

#[test]
fn the_context_chooses_the_virtual_machine() {
    let mut out = String::new();
    for arch in [
        "amd64", "x86_64", "i386", "arm64", "arm", "riscv64", "s390x",
    ] {
        let mut context = yaml::Map::new();
        context.insert("arch", arch);
        let rendered = render(Device::Template("qemu.jinja2"), &context);
        let method = rendered.text.split("\n      qemu:\n").nth(1).unwrap();
        let method = method.split("      qemu-nfs:").next().unwrap();
        out.push_str(&format!("{arch}:\n{method}"));
    }
    insta::assert_snapshot!(out);
}

#[test]
fn every_type_renders_without_a_device_file() {
    for name in device_types::names() {
        let settings = yaml::Map::new();
        let rendered = render(
            Device::Type {
                name,
                settings: &settings,
            },
            &yaml::Map::new(),
        );
        assert!(rendered.text.contains("\nactions:\n"), "{name}");
    }
}
