//! The virtual lab rack: boards that exist only as programs and files.
//!
//! A [`Rack`] has boards that QEMU emulates ([`Board`]), with consoles that survive power cycles,
//! a PDU that really starts and kills them ([`Pdu`]), and faults on demand. `rack up` runs one;
//! tests start their own in their own process.
//!
//! A scripted board plays a boot from a [`Script`], either as a program on its standard input and
//! output (`rack board FILE`, to be used as a device's `connection_command`) or inside a test
//! ([`console()`]). The language of the scripts is described in `hil/rack/README.md`.
//!
//! [`lossy`] is a bad link between a client and a board.
//!
//! Used by tests and benchmarks; nothing a user of Pumice needs.
#![forbid(unsafe_code)]

mod board;
mod cable;
mod config;
pub mod control;
pub mod fastboot_device;
mod http;
pub mod lossy;
mod machine;
mod network;
mod pdu;
mod player;
mod qmp;
mod rack;
mod script;
pub mod uboot;

pub use board::{Board, BoardFault, BoardStatus, MachineState};
pub use config::{BoardConfig, NetworkConfig, NetworkKind, PduConfig, RackConfig};
pub use pdu::{Pdu, PduBehaviour};
pub use player::{Played, console, play_on_stdio};
pub use rack::Rack;
pub use script::{Script, ScriptError, Variables};

/// Waits a moment after the system refused something (a descriptor, mostly), so that trying again
/// does not take a whole core.
async fn pause() {
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
}
