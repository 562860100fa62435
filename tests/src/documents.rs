//! Jobs and their blocks, small enough to be read in a test.

/// Deploys the tests of a job, and nothing else.
pub const OVERLAY: &str = "- deploy: {to: overlay, os: oe}\n";

/// Boots `hil/rack/boards/linux.board` and the boards that talk like it.
pub const BOOT: &str = "\
- boot:
    method: minimal
    prompts: ['root@board:']
    auto_login: {login_prompt: 'board login:', username: root}
";

/// A job of these blocks. Its times are short: nothing that has to wait for them to be over may
/// take long.
pub fn job(blocks: &[&str]) -> String {
    let head = "\
device_type: board
job_name: a job of the tests
timeouts: {job: {minutes: 2}, action: {minutes: 1}, connection: {minutes: 1}}
priority: medium
visibility: public
actions:
";
    [head, &blocks.concat()].concat()
}

/// A block that downloads files: name and keys of each, in flow style.
pub fn deploy(images: &[(&str, &str)]) -> String {
    let images = images
        .iter()
        .map(|(name, keys)| format!("      {name}: {{{keys}}}\n"));
    let head = "- deploy:\n    to: tmpfs\n    os: oe\n    images:\n";
    [head.to_owned()].into_iter().chain(images).collect()
}

/// A block with the one inline test `board`, which is what `linux.board` pretends to run.
pub fn inline(extra: &str) -> String {
    definition(
        "from: inline, repository: {metadata: {format: Lava-Test Test Definition 1.0, \
         name: board, description: none}, run: {steps: ['lava-test-case one --shell true']}}, \
         path: inline/board.yaml",
        extra,
    )
}

/// A block with one test named `board`, its keys in flow style; `extra` are lines of the block.
pub fn definition(keys: &str, extra: &str) -> String {
    format!("- test:\n{extra}    definitions:\n    - {{name: board, {keys}}}\n")
}
