//! Bad input, and what becomes of it: a table of (input → fault class, exit code), each row a test.
//!
//! A row feeds the program something bad and says what has to come of it. Common to all of them:
//! the fault is in `results.json` and `result.yaml` as in the exit code, the message says what
//! went wrong and what to try, and nothing is left behind: no process, no file, no powered board.
//!
//! `docs/faults.md` holds the same table; `PUMICE_UPDATE_DOCS=1` writes it again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cancel;
mod console;
mod definitions;
mod deploy;
mod devices;
mod files;
mod kernel;
mod table;
mod tests;

use table::Section;

/// The whole table, in the order of the documentation.
const SECTIONS: &[Section] = &[
    definitions::SECTION,
    deploy::SECTION,
    devices::SECTION,
    kernel::SECTION,
    console::SECTION,
    tests::SECTION,
    files::SECTION,
    cancel::SECTION,
];

#[test]
fn the_documentation_has_the_same_table() {
    let path = integration::root().join("docs/faults.md");
    let now = table::documentation(SECTIONS);
    if std::env::var_os("PUMICE_UPDATE_DOCS").is_some() {
        fs_err::write(&path, &now).unwrap();
    }
    let written = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        written == now,
        "docs/faults.md is not what the tests assert; write it again with \
         PUMICE_UPDATE_DOCS=1 cargo test -p integration --test faults documentation"
    );
}
