//! Which telnet options are on, by the Q method of RFC 1143: every request is answered once, and
//! no two programs answer each other without end.

/// A telnet option's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TelnetOption(pub u8);

impl TelnetOption {
    /// Eight bits pass unchanged: RFC 856.
    pub const BINARY: Self = Self(0);
    /// The other side shows what is typed: RFC 857.
    pub const ECHO: Self = Self(1);
    /// No "go ahead" between answers: RFC 858.
    pub const SUPPRESS_GO_AHEAD: Self = Self(3);
    /// Control of a serial port: RFC 2217.
    pub const COM_PORT: Self = Self(44);
}

/// Whose option it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Ours: WILL and WONT are said by us, DO and DONT by the other side.
    Us,
    /// Theirs: WILL and WONT are said by them.
    Them,
}

/// The four words of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Will,
    Wont,
    Do,
    Dont,
}

impl Verb {
    /// The side of the connection that a received word is about, and whether it says "on".
    fn meaning(self) -> (Side, bool) {
        match self {
            Self::Will => (Side::Them, true),
            Self::Wont => (Side::Them, false),
            Self::Do => (Side::Us, true),
            Self::Dont => (Side::Us, false),
        }
    }

    /// The word by which we ask for an option, or confirm that it is `on`.
    fn ours(side: Side, on: bool) -> Self {
        match (side, on) {
            (Side::Us, true) => Self::Will,
            (Side::Us, false) => Self::Wont,
            (Side::Them, true) => Self::Do,
            (Side::Them, false) => Self::Dont,
        }
    }
}

/// RFC 1143 §7, without the queue bit of a wish that changed: we ask for an option once, and
/// never change our mind before the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    No,
    Yes,
    /// We asked for it, and there is no answer yet.
    WantYes,
    /// It was refused after we asked for it. As `No`; kept to tell the caller.
    Refused,
}

/// The state of the options that we know; every other one is off for ever.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// Option, our side, their side.
    known: Vec<(TelnetOption, State, State)>,
}

impl Options {
    /// All off. Options outside `known` are refused whenever the other side names them.
    pub(super) fn new(known: &[TelnetOption]) -> Self {
        let off = |option: &TelnetOption| (*option, State::No, State::No);
        Self {
            known: known.iter().map(off).collect(),
        }
    }

    /// Asks for an option. Gives the word to send, if one is needed.
    pub(super) fn request(&mut self, option: TelnetOption, side: Side) -> Option<Verb> {
        let state = self.state_mut(option, side)?;
        if matches!(state, State::Yes | State::WantYes) {
            return None;
        }
        *state = State::WantYes;
        Some(Verb::ours(side, true))
    }

    /// Handles a word of the other side. Gives the word to answer, if one is needed.
    pub(super) fn receive(&mut self, verb: Verb, option: TelnetOption) -> Option<Verb> {
        let (side, on) = verb.meaning();
        let acceptable = acceptable(option, side);
        let Some(state) = self.state_mut(option, side) else {
            // Unknown options are off: "off" needs no answer, "on" is refused.
            return on.then(|| Verb::ours(side, false));
        };
        let (next, reply) = match (*state, on) {
            (State::No | State::Refused, true) if acceptable => (State::Yes, Some(true)),
            (State::No | State::Refused, true) => (State::No, Some(false)),
            (before @ (State::No | State::Refused), false) => (before, None),
            (State::Yes, true) => (State::Yes, None),
            (State::Yes, false) => (State::No, Some(false)),
            (State::WantYes, true) => (State::Yes, None),
            (State::WantYes, false) => (State::Refused, None),
        };
        *state = next;
        reply.map(|on| Verb::ours(side, on))
    }

    /// Whether an option is on.
    pub(super) fn is_on(&self, option: TelnetOption, side: Side) -> bool {
        self.state(option, side) == Some(State::Yes)
    }

    /// Whether the other side refused it after we asked.
    pub(super) fn was_refused(&self, option: TelnetOption, side: Side) -> bool {
        self.state(option, side) == Some(State::Refused)
    }

    fn state(&self, option: TelnetOption, side: Side) -> Option<State> {
        let found = self.known.iter().find(|known| known.0 == option);
        found.map(|(_, us, them)| match side {
            Side::Us => *us,
            Side::Them => *them,
        })
    }

    fn state_mut(&mut self, option: TelnetOption, side: Side) -> Option<&mut State> {
        let found = self.known.iter_mut().find(|known| known.0 == option);
        found.map(|(_, us, them)| match side {
            Side::Us => us,
            Side::Them => them,
        })
    }
}

/// Whether we agree when the other side brings it up. A server that asks us to echo would get
/// the board's output back: never.
fn acceptable(option: TelnetOption, side: Side) -> bool {
    !(option == TelnetOption::ECHO && side == Side::Us)
}
