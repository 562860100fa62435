//! `boot:` blocks.

pub mod bootloader;
pub mod connect;
pub mod diagnosis;
pub mod login;
pub mod qemu;
pub mod reset;
pub mod shell;
pub mod transfer;
