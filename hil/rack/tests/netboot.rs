//! Boards that boot from a network of the rack's own. Tier 2: needs root.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails; what is skipped and how long it took is said"
)]

mod support;

use hal::power::PowerAction;
use std::time::Instant;
use support::{console, rack, read_until, say};

#[tokio::test]
async fn ipxe_boots_over_http() {
    let Some((rack, _directory)) = rack(&["x86-ipxe"]).await else {
        return;
    };
    let board = rack.board("x86-ipxe").unwrap();
    let mut console = console(board).await;
    let begun = Instant::now();
    board.power(PowerAction::On).await.unwrap();
    // One read may bring more than what is waited for, so all is waited for at once.
    let boot = read_until(&mut console, "iPXE>").await;
    assert!(boot.contains("SeaBIOS"), "{boot}");
    assert!(boot.contains("rack: booted over HTTP"), "{boot}");
    eprintln!(
        "tier 2, x86-ipxe: booted over HTTP after {:.1?}",
        begun.elapsed()
    );
    say(&mut console, "show net0/ip\r").await;
    read_until(&mut console, "192.168.77.").await;
    rack.stop().await.unwrap();
}

#[tokio::test]
async fn ovmf_boots_over_http_by_the_cards_own_ipxe() {
    let Some((rack, _directory)) = rack(&["x86-uefi"]).await else {
        return;
    };
    let board = rack.board("x86-uefi").unwrap();
    let mut console = console(board).await;
    let begun = Instant::now();
    board.power(PowerAction::On).await.unwrap();
    let boot = read_until(&mut console, "rack: booted over HTTP").await;
    assert!(boot.contains("EFI Menu"), "this is not UEFI: {boot}");
    eprintln!(
        "tier 2, x86-uefi: booted over HTTP after {:.1?}",
        begun.elapsed()
    );
    rack.stop().await.unwrap();
}
