//! The telnet protocol without a connection: bytes of the server to bytes of the board, typed
//! bytes to bytes for the server, and the answers that the negotiation needs.
//!
//! RFC 854 (commands, the network virtual terminal), 855 (options), 856 (binary), 857 (echo), 858
//! (suppress go ahead), 1143 (the Q method). Never waits, never fails: what makes no sense is
//! skipped, as RFC 854 wants it.
//!
//! Outside binary mode a carriage return travels as CR NUL or CR LF. Of the server's bytes the NUL
//! is taken away; a typed CR becomes CR NUL and a typed LF stays alone, which is what Debian's
//! `telnet` sends as well.

use super::negotiation::{Options, Side, TelnetOption, Verb};

const SE: u8 = 240;
const BRK: u8 = 243;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;
const IAC: u8 = 255;

const CR: u8 = b'\r';

/// The longest subnegotiation that is kept; the rest of a longer one is skipped. RFC 2217's
/// signature is the longest that we have a use for.
pub const LONGEST_SUBNEGOTIATION: usize = 256;

/// What the server said besides the board's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnegotiation {
    /// The option that it belongs to.
    pub option: TelnetOption,
    /// Its parameters, without doubled IACs, at most [`LONGEST_SUBNEGOTIATION`] bytes.
    pub parameters: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Data,
    /// After a CR of the board, outside binary mode.
    DataAfterCr,
    Iac,
    Option(u8),
    /// After IAC SB.
    SubnegotiationOption,
    Subnegotiation,
    SubnegotiationIac,
}

/// A telnet client's end of one connection.
#[derive(Clone, Debug)]
pub struct TelnetCodec {
    options: Options,
    state: State,
    /// What to send to the server, in order.
    replies: Vec<u8>,
    subnegotiation: Vec<u8>,
    received: Vec<Subnegotiation>,
}

impl TelnetCodec {
    /// A client that agrees to BINARY, SUPPRESS GO AHEAD and the server's ECHO, and refuses all
    /// other options (NAWS, TTYPE, …) except `more`.
    pub fn new(more: &[TelnetOption]) -> Self {
        let mut known = vec![
            TelnetOption::BINARY,
            TelnetOption::ECHO,
            TelnetOption::SUPPRESS_GO_AHEAD,
        ];
        known.extend_from_slice(more);
        Self::knowing(&known)
    }

    /// A client that refuses every option: all that a command line needs.
    pub fn refusing() -> Self {
        Self::knowing(&[])
    }

    fn knowing(options: &[TelnetOption]) -> Self {
        Self {
            options: Options::new(options),
            state: State::Data,
            replies: Vec::new(),
            subnegotiation: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Asks for an option, unless it is on or asked for already.
    pub fn request(&mut self, option: TelnetOption, side: Side) {
        if let Some(verb) = self.options.request(option, side) {
            self.reply(verb, option);
        }
    }

    /// Whether an option is on.
    pub fn is_on(&self, option: TelnetOption, side: Side) -> bool {
        self.options.is_on(option, side)
    }

    /// Whether an option that we asked for was refused.
    pub fn was_refused(&self, option: TelnetOption, side: Side) -> bool {
        self.options.was_refused(option, side)
    }

    /// Takes the server's bytes at the beginning of `buffer` and leaves the board's there, whose
    /// number it gives: there are never more of them. Any split of the stream into buffers gives
    /// the same bytes.
    pub fn decode(&mut self, buffer: &mut [u8]) -> usize {
        let (mut read, mut kept) = (0, 0);
        while read < buffer.len() {
            if self.state == State::Data {
                let length = self.plain_length(&buffer[read..]);
                if length > 0 {
                    buffer.copy_within(read..read + length, kept);
                    (read, kept) = (read + length, kept + length);
                    continue;
                }
            }
            let byte = buffer[read];
            read += 1;
            if let Some(data) = self.step(byte) {
                buffer[kept] = data;
                kept += 1;
            }
        }
        kept
    }

    /// How many bytes at the beginning of `bytes` are the board's and change nothing.
    fn plain_length(&self, bytes: &[u8]) -> usize {
        let special = if self.is_on(TelnetOption::BINARY, Side::Them) {
            memchr::memchr(IAC, bytes)
        } else {
            memchr::memchr2(IAC, CR, bytes)
        };
        special.unwrap_or(bytes.len())
    }

    /// One byte of the server. Gives the board's byte, if it is one.
    fn step(&mut self, byte: u8) -> Option<u8> {
        let before = std::mem::replace(&mut self.state, State::Data);
        match (before, byte) {
            (State::DataAfterCr, 0) => None,
            (State::Data | State::DataAfterCr, IAC) => {
                self.state = State::Iac;
                None
            }
            (State::Data | State::DataAfterCr, data) => {
                if data == CR && !self.is_on(TelnetOption::BINARY, Side::Them) {
                    self.state = State::DataAfterCr;
                }
                Some(data)
            }
            (State::Iac, IAC) => Some(IAC),
            (State::Iac, SB) => {
                self.state = State::SubnegotiationOption;
                None
            }
            (State::Iac, verb @ (WILL | WONT | DO | DONT)) => {
                self.state = State::Option(verb);
                None
            }
            // NOP, data mark, go ahead, and what nobody knows.
            (State::Iac, _) => None,
            (State::Option(verb), option) => {
                self.negotiate(verb, TelnetOption(option));
                None
            }
            (State::SubnegotiationOption, option) => {
                self.subnegotiation.clear();
                self.subnegotiation.push(option);
                self.state = State::Subnegotiation;
                None
            }
            (State::Subnegotiation, IAC) => {
                self.state = State::SubnegotiationIac;
                None
            }
            (State::Subnegotiation, byte) | (State::SubnegotiationIac, byte @ IAC) => {
                if self.subnegotiation.len() <= LONGEST_SUBNEGOTIATION {
                    self.subnegotiation.push(byte);
                }
                self.state = State::Subnegotiation;
                None
            }
            (State::SubnegotiationIac, SE) => {
                self.end_subnegotiation();
                None
            }
            // Another command inside: the end was lost. The command counts.
            (State::SubnegotiationIac, command) => {
                self.end_subnegotiation();
                self.state = State::Iac;
                self.step(command)
            }
        }
    }

    fn negotiate(&mut self, verb: u8, option: TelnetOption) {
        let verb = match verb {
            WILL => Verb::Will,
            WONT => Verb::Wont,
            DO => Verb::Do,
            _ => Verb::Dont,
        };
        if let Some(reply) = self.options.receive(verb, option) {
            self.reply(reply, option);
        }
    }

    fn reply(&mut self, verb: Verb, option: TelnetOption) {
        let verb = match verb {
            Verb::Will => WILL,
            Verb::Wont => WONT,
            Verb::Do => DO,
            Verb::Dont => DONT,
        };
        self.replies.extend_from_slice(&[IAC, verb, option.0]);
    }

    fn end_subnegotiation(&mut self) {
        let (option, parameters) = match self.subnegotiation.split_first() {
            Some((option, parameters)) => (TelnetOption(*option), parameters),
            None => return,
        };
        // What belongs to no option that is on has no meaning.
        if self.is_on(option, Side::Us) || self.is_on(option, Side::Them) {
            self.received.push(Subnegotiation {
                option,
                parameters: parameters.to_vec(),
            });
        }
        self.subnegotiation.clear();
    }

    /// How many bytes of `typed` pass to the server as they are.
    pub fn unchanged_length(&self, typed: &[u8]) -> usize {
        let special = if self.is_on(TelnetOption::BINARY, Side::Us) {
            memchr::memchr(IAC, typed)
        } else {
            memchr::memchr2(IAC, CR, typed)
        };
        special.unwrap_or(typed.len())
    }

    /// Appends what to send to the server so that the board gets `typed`.
    pub fn encode(&self, typed: &[u8], out: &mut Vec<u8>) {
        let mut rest = typed;
        loop {
            let (plain, special) = rest.split_at(self.unchanged_length(rest));
            out.extend_from_slice(plain);
            match special.split_first() {
                Some((&CR, tail)) => {
                    out.extend_from_slice(&[CR, 0]);
                    rest = tail;
                }
                Some((_, tail)) => {
                    out.extend_from_slice(&[IAC, IAC]);
                    rest = tail;
                }
                None => return,
            }
        }
    }

    /// Appends a BREAK. RFC 854 does not say how long it lasts: the server decides.
    pub fn encode_break(out: &mut Vec<u8>) {
        out.extend_from_slice(&[IAC, BRK]);
    }

    /// Appends a subnegotiation.
    pub fn encode_subnegotiation(option: TelnetOption, parameters: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&[IAC, SB, option.0]);
        Self::escape(parameters, out);
        out.extend_from_slice(&[IAC, SE]);
    }

    /// Appends `bytes` so that none is taken for a command, and changes nothing else: for who
    /// writes its ends of line as they travel.
    pub fn escape(bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            out.push(*byte);
            if *byte == IAC {
                out.push(IAC);
            }
        }
    }

    /// What the negotiation has to send, in order, before anything else.
    pub fn replies(&mut self) -> &mut Vec<u8> {
        &mut self.replies
    }

    /// The subnegotiations received since the last call.
    pub fn take_subnegotiations(&mut self) -> Vec<Subnegotiation> {
        std::mem::take(&mut self.received)
    }
}
