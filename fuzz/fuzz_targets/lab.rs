//! Any text is a lab file, a table of models, a console's address and a map of blocks, or an error
//! that says so.
#![no_main]

use hal::{console::ConsoleTarget, lab::Lab, power::models::Models, storage::Bmap};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let _ = Bmap::parse(bytes, "image.bmap");
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(target) = text.parse::<ConsoleTarget>() {
        let shown = target.to_string();
        assert_eq!(shown.parse::<ConsoleTarget>().ok().map(|target| target.to_string()), Some(shown));
    }
    // A table that a lab file names is read: nothing is named here.
    if !text.contains("models") && !text.contains("file") {
        let _ = Lab::parse(text, "lab.toml", Path::new("/nonexistent"));
    }
    let _ = Models::default().add(text, "models.toml");
});
