//! The renderer: where templates are, and what comes of one device.

use crate::{
    engine,
    error::{Error, ErrorKind},
    loader::{LoadedTemplate, Origin, SearchPath},
    source, value,
};
use minijinja::{Environment, value::Value};
use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use yaml::Map;

/// The largest device that is rendered, in bytes. The largest of LAVA 2026.07 has 60 KiB.
const MAX_OUTPUT: usize = 8 * 1024 * 1024;

/// The variable that carries a device's own settings when there is no device file.
const SETTINGS: &str = "device_settings";

/// Renders devices from templates of some directories.
///
/// LAVA searches the directory of device files, then its device-type directories in order, and
/// so does this: add them in that order. What no directory has is looked up among the embedded
/// templates.
///
/// Templates are the lab's: they cannot run for ever or read other files, but one that doubles a
/// string again and again may use much memory. The context is anybody's and is nothing but values.
///
/// Known differences from Jinja2, none of which a device type of LAVA 2026.07 can tell:
/// `%` does not format strings (use the filter `format`); `~` prints what nobody set in a list as
/// `undefined`; an include outside of blocks in a template that extends another prints nothing;
/// a loop may read what is set only after it (in Jinja2 it finds that unset, whatever it was);
/// lists and maps have no methods that change them; an unassigned code point in a list counts as
/// printable; `loop` is visible in blocks inside a loop; macros and imports of a block are
/// visible in blocks nested in it.
#[derive(Clone, Debug, Default)]
pub struct Renderer {
    search: SearchPath,
}

/// What to render.
#[derive(Clone, Copy, Debug)]
pub enum Device<'a> {
    /// A device file or device type of the search path: `qemu01.jinja2`.
    Template(&'a str),
    /// A device file as text.
    Text {
        /// Its name in messages, `qemu01.jinja2`.
        name: &'a str,
        /// The template.
        text: &'a str,
    },
    /// A device type without a device file, and the settings such a file would make.
    Type {
        /// The device type, `qemu`.
        name: &'a str,
        /// Names and values, which win over the job's context as those of a device file do.
        settings: &'a Map,
    },
}

/// What the scheduler knows of the device; it cannot be overridden by the job's context.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scheduled<'a> {
    /// The device's name, the template variable `scheduled_device_name`.
    pub device_name: Option<&'a str>,
    /// Its type, the template variable `scheduled_device_type`.
    pub device_type: Option<&'a str>,
}

/// A rendered device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// YAML, as the templates made it.
    pub text: String,
    /// The templates it was made of, in the order they were loaded.
    pub templates: Vec<LoadedTemplate>,
    /// Lists and maps that were printed with a value in them that nobody set: a required setting
    /// is missing, and YAML reads it as the word `Undefined`.
    pub unset: Vec<String>,
}

impl Renderer {
    /// A renderer that finds nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Searches one more directory, after those added before. It need not exist.
    #[must_use]
    pub fn with_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.search.directories.push(directory.into());
        self
    }

    /// Falls back to these templates, name and text, when no directory has one.
    #[must_use]
    pub fn with_embedded(mut self, templates: &[(&'static str, &'static str)]) -> Self {
        self.search.embedded.extend_from_slice(templates);
        self
    }

    /// Names of all templates that can be rendered, sorted.
    pub fn names(&self) -> Vec<String> {
        self.search.names()
    }

    /// Renders a device with the `context` of a job.
    ///
    /// # Errors
    ///
    /// When a template is missing, is no valid template, leaves the directories, or goes over a
    /// limit of time or size.
    pub fn render(
        &self,
        device: Device<'_>,
        context: &Map,
        scheduled: Scheduled<'_>,
    ) -> Result<Rendered, Error> {
        let unset = engine::Unset::default();
        let mut environment = engine::new(Arc::clone(&unset))?;
        let (name, given) = match device {
            Device::Template(name) => (name.to_owned(), None),
            Device::Text { name, text } => (name.to_owned(), Some(text.to_owned())),
            Device::Type { name, settings } => {
                let text = type_template(name, settings)?;
                (format!("device of type {name}"), Some(text))
            }
        };
        let given = given.map(|text| (name.clone(), text));
        let loads = load_through(&mut environment, self.search.clone(), given);

        let mut out = BoundedText::default();
        let result = environment.get_template(&name).and_then(|template| {
            let variables = variables(device, context, scheduled);
            template.render_captured_to(variables, &mut out).map(drop)
        });
        let loads = std::mem::take(&mut *lock(&loads));
        match result {
            Err(_) if out.is_full => {
                let message = format!("the device is larger than {MAX_OUTPUT} bytes");
                return Err(Error::new(ErrorKind::Limit, message));
            }
            Err(error) => return Err(self.explain(&error, loads.missing.as_deref())),
            Ok(()) => {}
        }
        let text = String::from_utf8(out.bytes)
            .map_err(|_| Error::new(ErrorKind::Evaluation, "the device is not UTF-8"))?;
        let unset = std::mem::take(&mut *lock(&unset));
        Ok(Rendered {
            text,
            templates: loads.templates,
            unset,
        })
    }

    fn explain(&self, error: &minijinja::Error, missing: Option<&str>) -> Error {
        match missing {
            Some(wanted) if error.kind() == minijinja::ErrorKind::TemplateNotFound => {
                self.search.not_found(wanted).placed_by(error)
            }
            _ => Error::from_engine(error),
        }
    }
}

/// What the engine asked for.
#[derive(Debug, Default)]
struct Loads {
    templates: Vec<LoadedTemplate>,
    /// The name that nobody had, the last one.
    missing: Option<String>,
}

/// Lets the engine find templates: the one that was `given`, else those of the search path.
fn load_through(
    environment: &mut Environment<'static>,
    search: SearchPath,
    given: Option<(String, String)>,
) -> Arc<Mutex<Loads>> {
    let loads = Arc::new(Mutex::new(Loads::default()));
    let journal = Arc::clone(&loads);
    environment.set_loader(move |wanted| {
        let found = match &given {
            Some((name, text)) if name == wanted => Some((text.clone(), Origin::Given)),
            _ => search.load(wanted)?,
        };
        let mut journal = lock(&journal);
        let Some((text, origin)) = found else {
            journal.missing = Some(wanted.to_owned());
            return Ok(None);
        };
        journal.templates.push(LoadedTemplate {
            name: wanted.to_owned(),
            origin,
        });
        Ok(Some(source::prepare(wanted, &text)?))
    });
    loads
}

/// Nothing panics while it holds one of these locks, and what they guard is whole at any time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device file that somebody would write for a device type and some settings.
fn type_template(device_type: &str, settings: &Map) -> Result<String, Error> {
    let is_word = |text: &str| {
        !text.starts_with(|c: char| c.is_ascii_digit())
            && !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let is_type = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    if !device_type.chars().all(is_type) {
        return Err(Error::new(
            ErrorKind::Refused,
            format!("{device_type:?} is no name of a device type"),
        ));
    }
    let mut text = format!("{{% extends '{device_type}.jinja2' %}}\n");
    for (key, _) in settings.iter() {
        match key.as_str().filter(|key| is_word(key)) {
            Some(key) => text.push_str(&format!("{{% set {key} = {SETTINGS}.{key} %}}\n")),
            None => {
                return Err(Error::new(
                    ErrorKind::Refused,
                    format!("{:?} is no name of a template variable", key.value),
                ));
            }
        }
    }
    Ok(text)
}

fn variables(device: Device<'_>, context: &Map, scheduled: Scheduled<'_>) -> Value {
    let mut variables: Vec<(Value, Value)> = context
        .iter()
        .map(|(key, node)| (value::from_node(key), value::from_node(node)))
        .collect();
    for (name, text) in [
        ("scheduled_device_name", scheduled.device_name),
        ("scheduled_device_type", scheduled.device_type),
    ] {
        if let Some(text) = text {
            variables.push((Value::from(name), Value::from(text)));
        }
    }
    if let Device::Type { settings, .. } = device {
        let settings = settings
            .iter()
            .map(|(key, node)| (value::from_node(key), value::from_node(node)));
        variables.push((Value::from(SETTINGS), Value::from_pairs(settings)));
    }
    Value::from_pairs(variables)
}

/// Keeps what is written up to [`MAX_OUTPUT`].
#[derive(Default)]
struct BoundedText {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_OUTPUT {
            self.is_full = true;
            return Err(io::Error::other("the device is too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
