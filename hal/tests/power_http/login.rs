//! Devices that want a login, and do not get the right one.

use super::{
    check, open, outlet,
    stub::{Stub, answer, ok},
    support::soon,
};
use hal::{ErrorKind, power::PowerState};

#[tokio::test]
async fn a_login_that_is_missing_is_asked_for() {
    let wants = |_: &str| {
        answer(
            "401 Unauthorized",
            "WWW-Authenticate: Digest nonce=\"1\"\r\n",
            "",
        )
    };
    let stub = Stub::start(wants).await;
    let mut config = stub.config("gude8031");
    (config.username, config.password) = (None, None);
    let error = open(&config).read(&outlet("1"), soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(
        error.hint().unwrap().starts_with("it needs a login"),
        "{:?}",
        error.hint()
    );
    assert_eq!(
        stub.taken().len(),
        1,
        "without a login there is nothing to try"
    );
    // With a wrong one it is tried once as the row says, and once as the device wants it.
    let error = open(&stub.config("gude8031"))
        .read(&outlet("1"), soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(stub.taken().len(), 2);
    let refuses = |_: &str| ok("{\"WARNING\":\"Need user=<username>&password=<password>\"}");
    let stub = Stub::start(refuses).await;
    let error = open(&stub.config("tasmota"))
        .read(&outlet("1"), soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[tokio::test]
async fn a_login_page_that_refuses_stops_the_exchange() {
    let stub = Stub::start(|_| ok("wrong password: p&s/1 %")).await;
    let result = open(&stub.config("energenie"))
        .switch(&outlet("1"), PowerState::On, soon())
        .await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.hint().unwrap().contains("login"));
    check(&error);
    assert_eq!(stub.taken().len(), 1);
}
