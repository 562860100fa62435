//! Our device types, embedded so that the binary needs no source checkout.
//!
//! The renderer of `templates` falls back to these when no directory of the lab has a template.
//! What the variables mean is in `README.md` beside this crate.
#![forbid(unsafe_code)]

/// Name and text of every template, by name. Those that begin with `base` are no device types
/// themselves: others extend them.
pub const TEMPLATES: &[(&str, &str)] = &[
    ("base.jinja2", include_str!("../templates/base.jinja2")),
    ("qemu.jinja2", include_str!("../templates/qemu.jinja2")),
    ("serial.jinja2", include_str!("../templates/serial.jinja2")),
    ("ssh.jinja2", include_str!("../templates/ssh.jinja2")),
];

/// The template of a device type, `qemu`.
pub fn get(device_type: &str) -> Option<&'static str> {
    let (_, text) = TEMPLATES
        .iter()
        .find(|(name, _)| name.strip_suffix(".jinja2") == Some(device_type))?;
    Some(text)
}

/// The device types, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEMPLATES
        .iter()
        .filter_map(|(name, _)| name.strip_suffix(".jinja2"))
        .filter(|name| !name.starts_with("base"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_of_the_folder_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
        let mut files: Vec<String> = fs_err::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let embedded: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).collect();
        assert_eq!(embedded, files);
    }

    #[test]
    fn types_are_found_by_name() {
        assert_eq!(names().collect::<Vec<_>>(), ["qemu", "serial", "ssh"]);
        assert!(names().all(|name| get(name).is_some()));
        assert!(get("base").is_some());
        assert_eq!(get("qemu.jinja2"), None);
    }
}
