//! Rows of the HID table: which devices, and which reports switch and show their outlets.

use super::{
    expression::{Expression, Template},
    steps::Step,
};
use crate::{
    power::PowerState,
    usb::{ControlSetup, parse_id},
};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest report: 64 bytes at full speed, more at high speed, and its number.
const LONGEST_REPORT: usize = 1025;

/// One model.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) ids: Vec<(u16, u16)>,
    /// What its product string begins with, where others have its ids, too.
    pub(super) product: Option<String>,
    pub(super) outlets: u32,
    pub(super) via: Via,
    pub(super) interface: Option<[u8; 3]>,
    on: Request,
    off: Request,
    state: Option<State>,
    pub(super) identity: Option<Identity>,
}

/// Which door of the kernel leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Via {
    /// `/dev/hidraw*`.
    Hidraw,
    /// `/dev/bus/usb/*`: control transfers to a device that the HID driver leaves alone.
    Usbfs,
}

/// Where a device keeps a serial number that is not the one of its USB descriptor.
#[derive(Debug)]
pub(super) struct Identity {
    /// Only for devices whose descriptor has this serial number: that of a whole series.
    pub(super) when: Option<String>,
    ask: Request,
    reply: Reply,
    /// Asked once for each of these, as `i`; each answer gives one piece.
    each: std::ops::Range<i64>,
    bytes: std::ops::Range<usize>,
    form: Form,
}

/// How the bytes of an identity read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// They are characters.
    Text,
    /// As sispmctl shows them: "01:0f:2c:31:c4".
    Hex,
}

/// What is sent.
#[derive(Debug, Default)]
struct Request {
    parts: Option<Parts>,
    reply: Option<Reply>,
}

#[derive(Debug)]
enum Parts {
    Output(Template, usize),
    Feature(Template, usize),
    Control(ControlParts, Template, usize),
}

#[derive(Debug)]
struct ControlParts {
    kind: u8,
    request: u8,
    value: Expression,
    index: Expression,
}

/// What comes back.
#[derive(Debug)]
struct Reply {
    source: Source,
    length: usize,
    expect: Option<Template>,
    /// Where `expect` begins.
    at: usize,
}

#[derive(Debug)]
enum Source {
    Input,
    Feature(u8),
    Control(ControlParts),
}

#[derive(Debug)]
struct State {
    ask: Request,
    reply: Reply,
    byte: usize,
    on: Expression,
}

const NAMES: &[&str] = &["n", "interface"];
const STATE_NAMES: &[&str] = &["n", "b", "interface"];
const IDENTITY_NAMES: &[&str] = &["i", "interface"];

type Names<'a> = BTreeMap<&'a str, i64>;

impl Row {
    pub(super) fn parse(row: toml::Table) -> Result<Self, String> {
        let text: RowText = row
            .try_into()
            .map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
        let ids = text
            .usb
            .iter()
            .map(|id| parse_id(id).ok_or_else(|| format!("'{id}' is not like 04d8:f2f7")));
        let interface = text.interface.as_deref().map(parse_class).transpose()?;
        let row = Self {
            ids: ids.collect::<Result<_, _>>()?,
            product: text.product,
            outlets: text.outlets,
            via: text.via,
            interface,
            on: text.on.compile(NAMES)?,
            off: text.off.compile(NAMES)?,
            state: text.state.map(StateText::compile).transpose()?,
            identity: text.identity.map(IdentityText::compile).transpose()?,
        };
        row.check()?;
        Ok(row)
    }

    /// Everything the row can send is right: its bytes are bytes for every outlet.
    fn check(&self) -> Result<(), String> {
        if self.ids.is_empty() || !(1..=64).contains(&self.outlets) {
            return Err("'usb' names no device, or 'outlets' is not 1 to 64".to_owned());
        }
        for outlet in 1..=self.outlets {
            let mut steps = self.switch_steps(outlet, 0, PowerState::On)?;
            steps.extend(self.switch_steps(outlet, 0, PowerState::Off)?);
            steps.extend(self.read_steps(outlet, 0)?.unwrap_or_default());
            if let Some(identity) = &self.identity {
                steps.extend(identity.steps(0)?.into_iter().flatten());
            }
            if let Some(step) = steps.iter().find(|step| step.via() != self.via) {
                return Err(format!("'{step}' does not go through {:?}", self.via));
            }
        }
        Ok(())
    }

    pub(super) fn reads_back(&self) -> bool {
        self.state.is_some()
    }

    /// What switches an outlet.
    pub(super) fn switch_steps(
        &self,
        outlet: u32,
        interface: u8,
        to: PowerState,
    ) -> Result<Vec<Step>, String> {
        let request = match to {
            PowerState::On => &self.on,
            PowerState::Off => &self.off,
        };
        request.steps(&names(outlet, interface))
    }

    /// What asks for an outlet; the last step gives the answer.
    pub(super) fn read_steps(
        &self,
        outlet: u32,
        interface: u8,
    ) -> Result<Option<Vec<Step>>, String> {
        let Some(state) = &self.state else {
            return Ok(None);
        };
        let names = names(outlet, interface);
        let mut steps = state.ask.steps(&names)?;
        steps.push(state.reply.step(&names)?);
        Ok(Some(steps))
    }

    /// What the answer says of an outlet.
    pub(super) fn state(&self, outlet: u32, answer: &[u8]) -> Result<PowerState, String> {
        let state = self.state.as_ref().ok_or("its state cannot be read")?;
        let byte = answer.get(state.byte).ok_or_else(|| {
            format!(
                "its answer has {} bytes, and the state is in byte {}",
                answer.len(),
                state.byte
            )
        })?;
        let mut names = names(outlet, 0);
        names.insert("b", i64::from(*byte));
        Ok(match state.on.value(&names) {
            0 => PowerState::Off,
            _ => PowerState::On,
        })
    }
}

impl Identity {
    /// The exchanges whose answers make the serial number.
    pub(super) fn steps(&self, interface: u8) -> Result<Vec<Vec<Step>>, String> {
        let exchanges = self.each.clone().map(|i| {
            let names = BTreeMap::from([("i", i), ("interface", i64::from(interface))]);
            let mut steps = self.ask.steps(&names)?;
            steps.push(self.reply.step(&names)?);
            Ok(steps)
        });
        exchanges.collect()
    }

    /// The serial number of these answers.
    pub(super) fn serial(&self, answers: &[Vec<u8>]) -> Option<String> {
        let mut bytes = Vec::new();
        for answer in answers {
            bytes.extend_from_slice(answer.get(self.bytes.clone())?);
        }
        Some(match self.form {
            Form::Text => String::from_utf8(bytes)
                .ok()?
                .trim_matches(['\0', ' '])
                .to_owned(),
            Form::Hex => {
                let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                digits.join(":")
            }
        })
    }
}

fn names(outlet: u32, interface: u8) -> Names<'static> {
    BTreeMap::from([
        ("n", i64::from(outlet)),
        ("interface", i64::from(interface)),
    ])
}

impl Request {
    fn steps(&self, names: &Names<'_>) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        match &self.parts {
            None => {}
            Some(Parts::Output(report, length)) => {
                steps.push(Step::Write(report.bytes(names, *length)?));
            }
            Some(Parts::Feature(report, length)) => {
                steps.push(Step::SetFeature(report.bytes(names, *length)?));
            }
            Some(Parts::Control(control, data, length)) => {
                steps.push(Step::Send(
                    control.setup(names)?,
                    data.bytes(names, *length)?,
                ));
            }
        }
        if let Some(reply) = &self.reply {
            steps.push(reply.step(names)?);
        }
        Ok(steps)
    }
}

impl Reply {
    fn step(&self, names: &Names<'_>) -> Result<Step, String> {
        let length = self.length;
        let expect = match &self.expect {
            Some(expect) => expect.bytes(names, 0)?,
            None => Vec::new(),
        };
        Ok(match &self.source {
            Source::Input => Step::Read {
                length,
                expect,
                at: self.at,
            },
            Source::Feature(number) => Step::GetFeature {
                number: *number,
                length,
            },
            Source::Control(control) => {
                let length = u16::try_from(length).map_err(|_| "'length' is too great")?;
                Step::Ask(control.setup(names)?, length)
            }
        })
    }
}

impl ControlParts {
    fn setup(&self, names: &Names<'_>) -> Result<ControlSetup, String> {
        let word = |expression: &Expression| {
            let value = expression.value(names);
            u16::try_from(value).map_err(|_| format!("'value' or 'index' would be {value}"))
        };
        Ok(ControlSetup {
            kind: self.kind,
            request: self.request,
            value: word(&self.value)?,
            index: word(&self.index)?,
        })
    }
}

/// "ff/01/01": class, subclass and protocol of an interface.
fn parse_class(text: &str) -> Result<[u8; 3], String> {
    let parts = text
        .split('/')
        .map(|part| u8::from_str_radix(part, 16).ok());
    let parts: Option<Vec<_>> = parts.collect();
    parts
        .and_then(|parts| parts.try_into().ok())
        .ok_or_else(|| format!("'{text}' is not like ff/01/01"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RowText {
    usb: Vec<String>,
    product: Option<String>,
    outlets: u32,
    via: Via,
    interface: Option<String>,
    on: RequestText,
    off: RequestText,
    state: Option<StateText>,
    identity: Option<IdentityText>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RequestText {
    output: Option<String>,
    feature: Option<String>,
    control: Option<ControlText>,
    data: Option<String>,
    /// The report's whole length; what the template leaves open is zero.
    #[serde(default)]
    length: usize,
    reply: Option<ReplyText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlText {
    #[serde(rename = "type")]
    kind: u8,
    request: u8,
    value: String,
    #[serde(default = "zero")]
    index: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ReplyText {
    feature: Option<u8>,
    control: Option<ControlText>,
    length: usize,
    expect: Option<String>,
    #[serde(default)]
    at: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct StateText {
    #[serde(default)]
    ask: RequestText,
    reply: ReplyText,
    byte: usize,
    on: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct IdentityText {
    when: Option<String>,
    #[serde(default)]
    ask: RequestText,
    reply: ReplyText,
    #[serde(default = "once")]
    each: [i64; 2],
    bytes: [usize; 2],
    form: Form,
}

fn zero() -> String {
    "0".to_owned()
}

fn once() -> [i64; 2] {
    [0, 1]
}

fn bounded(length: usize) -> Result<usize, String> {
    if length > LONGEST_REPORT {
        return Err(format!("'length' is {LONGEST_REPORT} at most"));
    }
    Ok(length)
}

impl RequestText {
    fn compile(self, names: &[&str]) -> Result<Request, String> {
        let length = bounded(self.length)?;
        let template = |text: Option<String>| Template::parse(&text.unwrap_or_default(), names);
        let parts = match (self.output, self.feature, self.control) {
            (None, None, None) => None,
            (Some(report), None, None) => Some(Parts::Output(template(Some(report))?, length)),
            (None, Some(report), None) => Some(Parts::Feature(template(Some(report))?, length)),
            (None, None, Some(control)) => Some(Parts::Control(
                control.compile(names)?,
                template(self.data)?,
                length,
            )),
            _ => return Err("a request is one of 'output', 'feature' and 'control'".to_owned()),
        };
        let reply = self.reply.map(|reply| reply.compile(names)).transpose()?;
        Ok(Request { parts, reply })
    }
}

impl ControlText {
    fn compile(self, names: &[&str]) -> Result<ControlParts, String> {
        Ok(ControlParts {
            kind: self.kind,
            request: self.request,
            value: Expression::parse(&self.value, names)?,
            index: Expression::parse(&self.index, names)?,
        })
    }
}

impl ReplyText {
    fn compile(self, names: &[&str]) -> Result<Reply, String> {
        let source = match (self.feature, self.control) {
            (None, None) => Source::Input,
            (Some(number), None) => Source::Feature(number),
            (None, Some(control)) => Source::Control(control.compile(names)?),
            _ => return Err("a reply is one of 'feature' and 'control'".to_owned()),
        };
        let expect = self
            .expect
            .map(|text| Template::parse(&text, names))
            .transpose()?;
        let length = bounded(self.length)?;
        Ok(Reply {
            source,
            length,
            expect,
            at: self.at,
        })
    }
}

impl StateText {
    fn compile(self) -> Result<State, String> {
        Ok(State {
            ask: self.ask.compile(NAMES)?,
            reply: self.reply.compile(NAMES)?,
            byte: self.byte,
            on: Expression::parse(&self.on, STATE_NAMES)?,
        })
    }
}

impl IdentityText {
    fn compile(self) -> Result<Identity, String> {
        let [first, end] = self.each;
        let [from, to] = self.bytes;
        if from >= to || to > LONGEST_REPORT || !(1..=64).contains(&end.saturating_sub(first)) {
            return Err("'bytes' or 'each' is not a range like [0, 5]".to_owned());
        }
        Ok(Identity {
            when: self.when,
            ask: self.ask.compile(IDENTITY_NAMES)?,
            reply: self.reply.compile(IDENTITY_NAMES)?,
            each: first..end,
            bytes: from..to,
            form: self.form,
        })
    }
}
