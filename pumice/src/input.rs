//! Reads what the user gave: the job, the device, and what goes with them.

use crate::{
    cli::DeviceArguments,
    exit::{Exit, Stop},
    message,
};
use job::{Device, Problem, definition::Definition, document::Cursor};
use plan::{Facts, Plan};
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use templates::{Renderer, Scheduled};
use yaml::{Limits, Map, Node};

/// As much of a line as an error message shows.
const LONGEST_LINE: usize = 160;

/// A job with its device, planned.
pub(crate) struct Planned {
    pub(crate) definition: Definition,
    pub(crate) device: Device,
    pub(crate) plan: Plan,
    /// What will make the job fail although it has a tree, for people.
    pub(crate) problems: Option<String>,
}

/// Reads and plans a job.
///
/// # Errors
/// Every problem found, each with its file and line.
pub(crate) fn plan(job: &Path, arguments: &DeviceArguments) -> Result<Planned, Stop> {
    let source = Source::read(job)?;
    let problems = job::schema::check_job(&source.node);
    if !problems.is_empty() {
        return Err(source.stop(&problems));
    }
    let definition = Definition::from_node(&source.node).map_err(|found| source.stop(&found))?;
    let device = device(&definition, arguments)?;
    let env_dut = match &arguments.env_dut {
        Some(path) => Some(environment(path)?),
        None => None,
    };
    let facts = Facts {
        dispatcher_ip: arguments.dispatcher_ip.clone(),
        env_dut,
        ..Facts::new(job::JobId::new(arguments.job_id.clone()))
    };
    let plan = plan::plan(&definition, &device, &facts).map_err(|found| source.stop(&found))?;
    let problems = (!plan.problems.is_empty()).then(|| source.describe(&plan.problems));
    Ok(Planned {
        definition,
        device,
        plan,
        problems,
    })
}

/// A YAML document of the user's.
pub(crate) struct Source {
    name: String,
    text: String,
    pub(crate) node: Node,
}

impl Source {
    /// Reads and loads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Stop> {
        Self::load(path.display().to_string(), read_text(path)?)
    }

    fn load(name: String, text: String) -> Result<Self, Stop> {
        match yaml::load(&text, &Limits::default()) {
            Ok(node) => Ok(Self { name, text, node }),
            Err(error) => Err(Stop::bad_definition(not_yaml(&name, &text, &error))),
        }
    }

    /// All problems of the document, one below the other.
    pub(crate) fn describe(&self, problems: &[Problem]) -> String {
        problems
            .iter()
            .map(|problem| self.describe_one(problem))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// `job.yaml:12:5: actions[1].boot: what is wrong`, the line itself, and what to do.
    fn describe_one(&self, problem: &Problem) -> String {
        let mut text = self.name.clone();
        let start = problem.span.start;
        let known = problem.span != yaml::Span::default();
        if known {
            text.push_str(&format!(":{}:{}", start.line + 1, start.column + 1));
        }
        if !problem.path.is_empty() {
            text.push_str(&format!(": {}", problem.path));
        }
        text.push_str(&format!(": {}", problem.message));
        if let Some(line) = self.text.lines().nth(start.line as usize).filter(|_| known) {
            let shown: String = line.chars().take(LONGEST_LINE).collect();
            let caret = " ".repeat((start.column as usize).min(LONGEST_LINE));
            text.push_str(&format!("\n    {shown}\n    {caret}^"));
        }
        if let Some(hint) = &problem.hint {
            text.push_str(&format!("\n    hint: {hint}"));
        }
        text
    }

    fn stop(&self, problems: &[Problem]) -> Stop {
        Stop::bad_definition(self.describe(problems))
    }
}

/// `job.yaml:12:5: what is wrong`, and the line itself.
fn not_yaml(name: &str, text: &str, error: &yaml::Error) -> String {
    let (mark, problem) = (error.mark(), error.to_string());
    let place = format!("{mark}: ");
    let problem = problem.strip_prefix(&place).unwrap_or(&problem);
    let (line, column) = (mark.line + 1, mark.column + 1);
    let snippet = error.snippet(text);
    format!("{name}:{line}:{column}: {problem}\n{}", snippet.trim_end())
}

/// Reads a file of the user's, as much as a document may have: it could be `/dev/zero`.
fn read_text(path: &Path) -> Result<String, Stop> {
    let bad = |error: std::io::Error| Stop::bad_definition(error.to_string());
    let name = path.display();
    let most = Limits::default().bytes as u64;
    let mut bytes = Vec::new();
    let file = fs_err::File::open(path).map_err(bad)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(bad)?;
    if bytes.len() as u64 > most {
        let problem = format!("{name} is larger than {} MiB", most >> 20);
        return Err(Stop::bad_definition(problem));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good]
            .split(|byte| *byte == b'\n')
            .count();
        Stop::bad_definition(format!("{name}:{line}: this is not UTF-8"))
    })
}

/// What rendering a device needs of the job that runs on it.
#[derive(Clone, Copy)]
struct ForJob<'a> {
    context: &'a Map,
    device_type: Option<&'a str>,
}

/// A device that no job runs on, for who looks at its commands.
///
/// # Errors
/// Every problem found, each with its file and line.
pub(crate) fn device_file(path: &Path, device_types: &[PathBuf]) -> Result<Device, Stop> {
    let job = ForJob {
        context: &Map::new(),
        device_type: None,
    };
    let mut device = checked(&read_device(path, job, device_types)?)?;
    if device.hostname.is_empty() {
        device.hostname = host(path).unwrap_or_default();
    }
    Ok(device)
}

/// The device of the job, rendered when it is a template.
fn device(definition: &Definition, arguments: &DeviceArguments) -> Result<Device, Stop> {
    let job = ForJob {
        context: &definition.context,
        device_type: definition.device_type.as_deref(),
    };
    let Some(path) = &arguments.device else {
        return checked(&rendered_type(job, arguments)?);
    };
    if is_template(path) && !arguments.define.is_empty() {
        message::warning("-D sets variables of a device type; with a device file it has no effect");
    }
    checked(&read_device(path, job, &arguments.device_types)?)
}

fn is_template(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "jinja2")
}

/// The name that LAVA gives the device of a file.
fn host(path: &Path) -> Option<String> {
    path.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
}

fn read_device(path: &Path, job: ForJob<'_>, device_types: &[PathBuf]) -> Result<Source, Stop> {
    if is_template(path) {
        rendered_file(path, job, device_types)
    } else {
        Source::read(path)
    }
}

fn checked(source: &Source) -> Result<Device, Stop> {
    let problems = job::schema::check_device(&source.node);
    if !problems.is_empty() {
        return Err(source.stop(&problems));
    }
    Device::from_node(&source.node).map_err(|problems| source.stop(&problems))
}

fn rendered_file(path: &Path, job: ForJob<'_>, device_types: &[PathBuf]) -> Result<Source, Stop> {
    let text = read_text(path)?;
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let device = templates::Device::Text {
        name: &name,
        text: &text,
    };
    let host = host(path);
    let scheduled = Scheduled {
        device_name: host.as_deref(),
        device_type: job.device_type,
    };
    let shown = path.display().to_string();
    render(device, job.context, device_types, scheduled, &shown)
}

fn rendered_type(job: ForJob<'_>, arguments: &DeviceArguments) -> Result<Source, Stop> {
    let name = arguments
        .device_type
        .as_deref()
        .or(job.device_type)
        .ok_or_else(|| {
            Stop::bad_command_line("no device: give --device FILE or --device-type NAME")
        })?;
    let settings = settings(&arguments.define)?;
    let scheduled = Scheduled {
        device_name: Some(name),
        device_type: Some(name),
    };
    let device = templates::Device::Type {
        name,
        settings: &settings,
    };
    let shown = format!("device type {name}");
    render(
        device,
        job.context,
        &arguments.device_types,
        scheduled,
        &shown,
    )
}

fn render(
    device: templates::Device<'_>,
    context: &Map,
    device_types: &[PathBuf],
    scheduled: Scheduled<'_>,
    name: &str,
) -> Result<Source, Stop> {
    let mut renderer = Renderer::new();
    for directory in device_types {
        renderer = renderer.with_directory(directory);
    }
    let rendered = renderer
        .with_embedded(device_types::TEMPLATES)
        .render(device, context, scheduled)
        .map_err(|error| not_rendered(name, &error))?;
    for unset in &rendered.unset {
        message::warning(&format!("{name}: a required setting is missing: {unset}"));
    }
    Source::load(format!("{name} (rendered)"), rendered.text)
}

/// `board.jinja2: what is wrong`, and which device types there are when it wants another.
fn not_rendered(name: &str, error: &templates::Error) -> Stop {
    let mut text = format!("{name}: {error}");
    if error.kind == templates::ErrorKind::NotFound {
        let known: Vec<&str> = device_types::names().collect();
        text.push_str(&format!(
            "\n    hint: device types that come with pumice: {}; --device-types DIR adds those of a lab",
            known.join(", ")
        ));
    }
    Stop::bad_definition(text)
}

/// `-D KEY=VALUE`, the value being YAML.
fn settings(defines: &[String]) -> Result<Map, Stop> {
    let mut settings = Map::new();
    for define in defines {
        let (key, value) = define
            .split_once('=')
            .ok_or_else(|| Stop::bad_command_line(format!("-D {define}: expected KEY=VALUE")))?;
        let value = yaml::load(value, &Limits::default())
            .map_err(|error| Stop::bad_command_line(format!("-D {define}: {error}")))?;
        settings.insert(key, value);
    }
    Ok(settings)
}

/// LAVA's `env.dut.yaml`: `purge` or `removes` applied to our own environment, then `overrides`.
fn environment(path: &Path) -> Result<Vec<(String, String)>, Stop> {
    let source = Source::read(path)?;
    let purge = source.node.get("purge").is_some_and(Node::is_truthy);
    let root = Cursor::root(&source.node);
    let mut problems = Vec::new();
    let removed = root.texts_at("removes", &mut problems);
    let overrides = root
        .set("overrides")
        .map(|overrides| overrides.text_entries(&mut problems))
        .unwrap_or_default();
    if !problems.is_empty() {
        return Err(source.stop(&problems));
    }
    let inherited = std::env::vars().filter(|(name, _)| {
        let overridden = overrides
            .iter()
            .any(|(override_name, _)| override_name == name);
        !purge && !removed.contains(name) && !overridden
    });
    let mut variables: Vec<_> = inherited.collect();
    variables.extend(overrides);
    Ok(variables)
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::InfrastructureFault, error.to_string())
    }
}
