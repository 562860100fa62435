//! Any bytes are a fastboot response, a UDP packet and a sparse image, or an error.
#![no_main]

use hal::fastboot::{Image, protocol::Response, udp::Packet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Response::parse(bytes);
    if let Some(packet) = Packet::parse(bytes) {
        assert!(packet.data.len() < bytes.len());
    }
    if let Ok(image) = Image::from_bytes("image", bytes.to_vec()) {
        // What a device of 64 KiB would get; an image that cannot be split says so.
        let _ = image.downloads(Some(64 * 1024));
    }
});
