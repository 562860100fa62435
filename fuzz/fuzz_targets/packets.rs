//! Any packet is an answer of an SNMP agent and a request of a TFTP client, or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    hal::power::family::snmp_read_any(bytes);
    dispatcher::bootfiles::tftp::read_any(bytes);
});
