//! Each fixture device as our device types render it.

use reference_data::reference_data;
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
        assert_eq!(
            job::schema::check_device(&load(&rendered.text)),
            [],
            "{name}"
        );
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

fn load(text: &str) -> yaml::Node {
    yaml::load(text, &yaml::Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_labs_device_file_gives_the_virtual_machine_it_gives_in_lava() {
    let Some(golden) = reference_data("golden/peer/qemu") else {
        return;
    };
    let mut context = yaml::Map::new();
    context.insert("arch", "amd64");
    let scheduled = Scheduled {
        device_name: Some("qemu-tcg01"),
        device_type: Some("qemu"),
    };
    let rendered = Renderer::new()
        .with_directory(&golden)
        .with_embedded(device_types::TEMPLATES)
        .render(Device::Template("qemu-tcg01.jinja2"), &context, scheduled)
        .unwrap();
    let ours = load(&rendered.text);
    let lava = load(&fs_err::read_to_string(golden.join("device.yaml")).unwrap());
    for path in [
        &["hostname"][..],
        &["devicetype"],
        &["timeouts"],
        &["parameters"],
        &["constants", "posix"],
        &["constants", "kernel-start-message"],
        &["constants", "shutdown-message"],
        &["constants", "default-shell-prompt"],
        &["constants", "spawn_maxread"],
        &["constants", "failure_retry"],
        &["constants", "boot_retry"],
        &["constants", "barebox"],
        &["constants", "grub"],
        &["constants", "grub-efi"],
        &["constants", "ipxe"],
        &["actions", "deploy"],
        &["actions", "boot", "connections"],
        &["actions", "boot", "methods", "minimal"],
        &["actions", "boot", "methods", "qemu"],
    ] {
        let (ours, lava) = (ours.at(path), lava.at(path));
        assert!(ours.is_some(), "{path:?} is missing");
        assert_eq!(sorted(ours), sorted(lava), "{path:?}");
    }
}

/// Maps compare as PyYAML's do: the order of keys does not count.
fn sorted(node: Option<&yaml::Node>) -> String {
    fn write(node: &yaml::Node) -> String {
        match (node.as_map(), node.as_sequence()) {
            (Some(map), _) => {
                let mut entries: Vec<String> = map
                    .iter()
                    .map(|(key, value)| format!("{}: {}", write(key), write(value)))
                    .collect();
                entries.sort();
                format!("{{{}}}", entries.join(", "))
            }
            (_, Some(items)) => format!("{:?}", items.iter().map(write).collect::<Vec<_>>()),
            _ => format!("{:?}", node.value),
        }
    }
    node.map(write).unwrap_or_default()
}
