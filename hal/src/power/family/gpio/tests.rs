//! Tests of the module above.

use super::*;

fn pdu(table: &str, chip: &str) -> Result<Box<dyn Pdu>, HalError> {
    let row: Row = toml::from_str(table).unwrap();
    let config = PduConfig {
        name: "header".to_owned(),
        address: Some(chip.to_owned()),
        ..PduConfig::default()
    };
    row.open(&config)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[tokio::test]
async fn a_chip_that_is_not_there_is_named() {
    let mut pdu = pdu("mode = 'hold'", "/dev/gpiochip999").unwrap();
    let line: Outlet = "3".parse().unwrap();
    let error = pdu.switch(&line, PowerState::On, soon()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("/dev/gpiochip999"), "{error}");
}

#[tokio::test]
async fn what_is_no_gpio_chip_is_refused() {
    let mut pdu = pdu("mode = 'hold'", "/dev/null").unwrap();
    let line: Outlet = "3".parse().unwrap();
    let error = pdu.read(&line, soon()).await.unwrap_err();
    assert!(error.to_string().contains("/dev/null"), "{error}");
}

#[tokio::test]
async fn half_a_press_is_not_begun() {
    let mut pdu = pdu("mode = 'button'", "/dev/gpiochip999").unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let line: Outlet = "3".parse().unwrap();
    let error = pdu
        .switch(&line, PowerState::Off, deadline)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("5000 ms"), "{error}");
}

#[tokio::test]
async fn a_reset_button_does_not_switch() {
    let mut pdu = pdu("mode = 'reset'", "/dev/gpiochip999").unwrap();
    let line: Outlet = "3".parse().unwrap();
    let error = pdu
        .switch(&line, PowerState::Off, soon())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
