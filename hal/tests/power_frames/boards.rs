//! Relay boards and PDUs that hear frames.

use super::pdu_simulator::{Answer, Device};

/// A board's own side: takes whole frames off the front of what it heard. `None` waits for more.
type Take = fn(&mut Relays, &[u8]) -> Option<(usize, Vec<u8>)>;

/// What a board keeps.
#[derive(Clone)]
pub(crate) struct Relays {
    pub(crate) on: Vec<bool>,
    password: &'static str,
    open: bool,
    /// Whether it says yes and does nothing.
    pub(crate) lies: bool,
}

impl Relays {
    fn set(&mut self, index: usize, on: bool) -> bool {
        match self.on.get_mut(index) {
            Some(relay) => {
                *relay = if self.lies { *relay } else { on };
                true
            }
            None => false,
        }
    }

    /// The states as bits, lowest first.
    fn bits(&self) -> Vec<u8> {
        let byte = |relays: &[bool]| {
            let bits = relays.iter().enumerate();
            bits.fold(0, |byte, (index, on)| byte | u8::from(*on) << index)
        };
        self.on.chunks(8).map(byte).collect()
    }
}

/// A board that hears frames.
pub(crate) struct Board {
    pub(crate) relays: Relays,
    pending: Vec<u8>,
    take: Take,
}

impl Board {
    fn new(relays: usize, password: &'static str, take: Take) -> Self {
        Self {
            relays: Relays {
                on: vec![false; relays],
                password,
                open: password.is_empty(),
                lies: false,
            },
            pending: Vec::new(),
            take,
        }
    }
}

impl Device for Board {
    fn connect(&mut self) -> Vec<u8> {
        self.pending.clear();
        self.relays.open = self.relays.password.is_empty();
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8]) -> Answer {
        self.pending.extend_from_slice(bytes);
        let mut answer = Vec::new();
        while let Some((length, said)) = (self.take)(&mut self.relays, &self.pending) {
            self.pending.drain(..length);
            answer.extend(said);
        }
        answer.into()
    }

    fn outlets(&mut self) -> &mut Vec<bool> {
        &mut self.relays.on
    }
}

/// Devantech's ETH boards.
pub(crate) fn devantech_eth(relays: usize, password: &'static str) -> Board {
    Board::new(relays, password, |relays, heard| {
        let fail = vec![1];
        Some(match *heard.first()? {
            0x79 => {
                // The password has no end but the packet's.
                relays.open = &heard[1..] == relays.password.as_bytes();
                (heard.len(), vec![if relays.open { 1 } else { 2 }])
            }
            command @ (0x20 | 0x21) => {
                let [relay, 0] = *heard.get(1..3)? else {
                    return Some((3, fail));
                };
                let index = usize::from(relay).wrapping_sub(1);
                let done = relays.open && relays.set(index, command == 0x20);
                (3, vec![u8::from(!done)])
            }
            0x24 => (1, relays.bits()),
            0x7b => {
                relays.open = relays.password.is_empty();
                (1, vec![0])
            }
            _ => (1, fail),
        })
    })
}

/// Devantech's USB boards.
pub(crate) fn devantech_usb(relays: usize) -> Board {
    Board::new(relays, "", |relays, heard| {
        Some(match *heard.first()? {
            0x5b => (1, relays.bits()),
            on @ 0x65..=0x6c => {
                relays.set(usize::from(on - 0x65), true);
                (1, Vec::new())
            }
            off @ 0x6f..=0x76 => {
                relays.set(usize::from(off - 0x6f), false);
                (1, Vec::new())
            }
            other => panic!("the board does not know {other:02x}"),
        })
    })
}

fn xor(frame: [u8; 3]) -> Vec<u8> {
    let [a, b, c] = frame;
    vec![a, b, c, a ^ b ^ c]
}

/// A chain of Conrad's cards.
pub(crate) fn conrad(cards: usize) -> Board {
    Board::new(cards * 8, "", |relays, heard| {
        let [command, card, data, check] = *heard.first_chunk()?;
        let cards = relays.on.len() / 8;
        let passed_on = (4, vec![command, card, data, check]);
        if xor([command, card, data])[3] != check {
            return Some((4, xor([255, 1, 0])));
        }
        if command == 1 {
            relays.open = true;
            let count = u8::try_from(cards).unwrap();
            let mut said: Vec<_> = (card..card + count)
                .flat_map(|c| xor([254, c, 10]))
                .collect();
            said.extend(xor([1, card + count, data]));
            return Some((4, said));
        }
        // A card that has no address knows nobody's.
        if !(1..=cards).contains(&usize::from(card)) || !relays.open {
            return Some(passed_on);
        }
        let first = (usize::from(card) - 1) * 8;
        if command == 6 || command == 7 {
            for bit in 0..8 {
                if data >> bit & 1 == 1 {
                    relays.set(first + bit, command == 6);
                }
            }
        }
        let states = relays.bits()[usize::from(card) - 1];
        Some((4, xor([255 - command, card, states])))
    })
}

/// LC Technology's and Noyito's boards; the state is told by the second.
pub(crate) fn noyito() -> Board {
    Board::new(8, "", |relays, heard| {
        if *heard.first()? == 0xff {
            let states = relays.on.iter().map(|on| u8::from(*on)).collect();
            return Some((1, states));
        }
        let [start, relay, on, check] = *heard.first_chunk()?;
        assert_eq!(start, 0xa0);
        assert_eq!(
            check,
            start.wrapping_add(relay).wrapping_add(on),
            "the check is wrong"
        );
        relays.set(usize::from(relay) - 1, on == 1);
        Some((4, Vec::new()))
    })
}

/// What a Modbus device answers to a request without its frame.
fn modbus(relays: &mut Relays, request: &[u8]) -> Vec<u8> {
    let (unit, function) = (request[0], request[1]);
    let word = |at: usize| usize::from(u16::from_be_bytes([request[at], request[at + 1]]));
    let refuse = |code| vec![unit, function | 0x80, code];
    match function {
        5 if matches!(word(4), 0xff00 | 0) => match relays.set(word(2), word(4) != 0) {
            true => request.to_vec(),
            false => refuse(2),
        },
        1 => match relays.on.get(word(2)..word(2) + word(4)) {
            Some(coils) => {
                let mut wanted = relays.clone();
                wanted.on = coils.to_vec();
                let bits = wanted.bits();
                let mut said = vec![unit, 1, u8::try_from(bits.len()).unwrap()];
                said.extend(bits);
                said
            }
            None => refuse(2),
        },
        _ => refuse(1),
    }
}

/// A Modbus device behind TCP.
pub(crate) fn modbus_tcp(coils: usize) -> Board {
    Board::new(coils, "", |relays, heard| {
        let length = usize::from(u16::from_be_bytes([*heard.get(4)?, *heard.get(5)?]));
        let request = heard.get(6..6 + length)?;
        assert_eq!(heard[2..4], [0, 0], "the protocol is Modbus");
        let said = modbus(relays, request);
        let mut frame = heard[..4].to_vec();
        frame.extend(u16::try_from(said.len()).unwrap().to_be_bytes());
        frame.extend(said);
        Some((6 + length, frame))
    })
}

/// Modbus' check, worked out in the other direction than the driver's: most significant bit
/// first, then reversed.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let mut crc = 0xffff_u16;
    for byte in bytes {
        crc ^= u16::from(byte.reverse_bits()) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 != 0 {
                crc << 1 ^ 0x8005
            } else {
                crc << 1
            };
        }
    }
    crc.reverse_bits().to_le_bytes()
}

/// A Modbus device on a serial line.
pub(crate) fn modbus_rtu(coils: usize) -> Board {
    Board::new(coils, "", |relays, heard| {
        let request = heard.get(..8)?;
        // Who hears a damaged frame says nothing.
        let mut said = Vec::new();
        if request[6..] == crc(&request[..6]) {
            said = modbus(relays, &request[..6]);
            said.extend(crc(&said));
        }
        Some((8, said))
    })
}

/// TP-Link's strips and plugs.
pub(crate) struct TpLink {
    on: Vec<bool>,
    strip: bool,
    pending: Vec<u8>,
}

impl TpLink {
    pub(crate) fn new(outlets: usize, strip: bool) -> Self {
        Self {
            on: vec![false; outlets],
            strip,
            pending: Vec::new(),
        }
    }

    fn say(&mut self, question: &serde_json::Value) -> serde_json::Value {
        use serde_json::json;
        let system = &question["system"];
        if let Some(state) = system["set_relay_state"]["state"].as_u64() {
            let child = question["context"]["child_ids"][0].as_str();
            let index = child.map_or(0, |id| id.strip_prefix("80A").unwrap().parse().unwrap());
            let known = self.strip == child.is_some() && index < self.on.len();
            if !known {
                let error = json!({ "err_code": -14, "err_msg": "entry not exist" });
                return json!({ "system": { "set_relay_state": error } });
            }
            self.on[index] = state == 1;
            return json!({ "system": { "set_relay_state": { "err_code": 0 } } });
        }
        assert!(system["get_sysinfo"].is_object(), "{question}");
        if !self.strip {
            let relay = u8::from(self.on[0]);
            let about = json!({ "model": "HS110", "relay_state": relay, "err_code": 0 });
            return json!({ "system": { "get_sysinfo": about } });
        }
        let child = |(index, on): (usize, &bool)| {
            json!({
                "id": format!("80A{index:02}"),
                "alias": format!("bench_{index}"),
                "state": u8::from(*on),
            })
        };
        let children: Vec<_> = self.on.iter().enumerate().map(child).collect();
        let about = json!({ "model": "HS300", "children": children, "err_code": 0 });
        json!({ "system": { "get_sysinfo": about } })
    }
}

impl Device for TpLink {
    fn connect(&mut self) -> Vec<u8> {
        self.pending.clear();
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8]) -> Answer {
        self.pending.extend_from_slice(bytes);
        let mut answer = Vec::new();
        while let Some(header) = self.pending.first_chunk::<4>() {
            let end = 4 + u32::from_be_bytes(*header) as usize;
            let Some(hidden) = self.pending.get(4..end) else {
                break;
            };
            let mut key = 171;
            let mut text = Vec::new();
            for &byte in hidden {
                text.push(key ^ byte);
                key = byte;
            }
            let said = self
                .say(&serde_json::from_slice(&text).unwrap())
                .to_string();
            self.pending.drain(..end);
            answer.extend(u32::try_from(said.len()).unwrap().to_be_bytes());
            let mut key = 171;
            for byte in said.bytes() {
                key ^= byte;
                answer.push(key);
            }
        }
        answer.into()
    }

    fn outlets(&mut self) -> &mut Vec<bool> {
        &mut self.on
    }
}

/// Energenie's strip, with its challenge written down the long way.
pub(crate) struct EgPms {
    on: Vec<bool>,
    key: [u8; 8],
    step: usize,
    pending: Vec<u8>,
}

const TASK: [u8; 4] = [0x3c, 0xa7, 0x51, 0xee];

impl EgPms {
    pub(crate) fn new(key: &[u8; 8]) -> Self {
        Self {
            on: vec![false; 4],
            key: *key,
            step: 0,
            pending: Vec::new(),
        }
    }

    fn states(&self) -> Vec<u8> {
        let hidden = |on: &bool| {
            let state = if *on { 0x11_u8 } else { 0x22 };
            let mixed = (state ^ TASK[2]).wrapping_add(TASK[3]) ^ self.key[0];
            mixed.wrapping_add(self.key[1])
        };
        self.on.iter().rev().map(hidden).collect()
    }

    fn expected(&self) -> [u8; 4] {
        let key = self.key.map(u32::from);
        let task = TASK.map(u32::from);
        let low = ((task[0] ^ key[2]) * key[0]) ^ (key[6] | key[4] << 8) ^ task[2];
        let high = ((task[1] ^ key[3]) * key[1]) ^ (key[7] | key[5] << 8) ^ task[3];
        let byte = |word: u32, shift: u32| u8::try_from(word >> shift & 0xff).unwrap();
        [byte(low, 0), byte(low, 8), byte(high, 0), byte(high, 8)]
    }
}

impl Device for EgPms {
    fn connect(&mut self) -> Vec<u8> {
        self.step = 0;
        self.pending.clear();
        Vec::new()
    }

    fn hear(&mut self, bytes: &[u8]) -> Answer {
        self.pending.extend_from_slice(bytes);
        let mut answer = Vec::new();
        if self.step == 0 && self.pending.first() == Some(&0x11) {
            self.pending.remove(0);
            self.step = 1;
            answer.extend(TASK);
        }
        if let (1, Some(proof)) = (self.step, self.pending.first_chunk::<4>().copied()) {
            self.pending.drain(..4);
            // A wrong password is met with silence.
            self.step = if proof == self.expected() { 2 } else { 9 };
            if self.step == 2 {
                answer.extend(self.states());
            }
        }
        if let (2, Some(controls)) = (self.step, self.pending.first_chunk::<4>().copied()) {
            for (outlet, hidden) in controls.iter().rev().enumerate() {
                let mixed = hidden.wrapping_sub(self.key[1]) ^ self.key[0];
                match mixed.wrapping_sub(TASK[3]) ^ TASK[2] {
                    1 => self.on[outlet] = true,
                    2 => self.on[outlet] = false,
                    4 => {}
                    other => panic!("no control: {other}"),
                }
            }
            self.pending.drain(..4);
            self.step = 3;
            answer.extend(self.states());
        }
        answer.into()
    }

    fn outlets(&mut self) -> &mut Vec<bool> {
        &mut self.on
    }
}
