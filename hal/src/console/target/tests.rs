use super::*;
use crate::error::ErrorKind;
use proptest::{option, prelude::*};

fn error(address: &str) -> HalError {
    let error = address.parse::<ConsoleTarget>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address:?}");
    error
}

#[test]
fn examples() {
    let addresses = [
        "serial:///dev/ttyUSB0",
        "serial:///dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0?baud=1234567&data=7&\
         parity=even&stop=2&flow=hardware&dtr=off&rts=on",
        "tcp://rack:7001",
        "telnet://[2001:db8::1]:23",
        "rfc2217://192.0.2.1:7001?baud=115200",
        "ssh://root@board:2222?command=picocom%20/dev/ttyS1&host-key=accept-new&keepalive=5",
        "ssh://board",
        "exec:telnet rack 7001",
        "exec:sh -c 'exec socat - \"$0\"' /dev/ttyS0",
    ];
    for address in addresses {
        let target: ConsoleTarget = address.parse().unwrap();
        assert_eq!(target.to_string(), address);
    }
    // Readable blanks are understood as well.
    let target: ConsoleTarget = "ssh://a?command=tail -f x".parse().unwrap();
    assert_eq!(target.to_string(), "ssh://a?command=tail%20-f%20x");
}

#[test]
fn mistakes_are_named_with_what_was_meant() {
    let cases = [
        (
            "serial:///dev/ttyS0?baut=9600",
            "unknown option 'baut'",
            "did you mean 'baud'?",
        ),
        (
            "tcp://a:1?baud=1",
            "unknown option 'baud'",
            "this kind of console has no options",
        ),
        (
            "serial:///dev/ttyS0?speed=1",
            "unknown option 'speed'",
            "its options are: baud, data",
        ),
        ("serial://dev/ttyS0", "needs the path", "three slashes"),
        (
            "/dev/ttyS0",
            "does not say what kind",
            "serial:///dev/ttyS0",
        ),
        (
            "telnet rack 7001",
            "does not say what kind",
            "exec:telnet rack 7001",
        ),
        ("tcp:rack:7001", "does not say what kind", "write tcp://"),
        (
            "telent://rack:1",
            "unknown kind 'telent'",
            "did you mean 'telnet'?",
        ),
        ("tcp://rack", "needs a host and a port", "tcp://rack:7001"),
        ("exec:a 'b", "No closing quotation", "exec:telnet"),
    ];
    for (address, message, hint) in cases {
        let error = error(address);
        assert!(error.to_string().contains(message), "{error}");
        assert!(
            error.hint().unwrap().contains(hint),
            "{error}: {:?}",
            error.hint()
        );
    }
    for (address, message) in [
        ("serial:///dev/ttyS0?baud=0", "not a speed from 1 to"),
        ("serial:///dev/ttyS0?baud=9600&baud=1", "twice"),
        (
            "serial:///dev/ttyS0?parity=maybe",
            "not one of none, odd, even",
        ),
        ("serial:///dev/ttyS0?baud", "without a value"),
        ("ssh://a?command=%zz", "malformed %"),
        ("ssh://-oProxyCommand=x", "needs a host"),
        ("ssh://-l@a", "a user that cannot be one"),
        ("ssh://a:0", "needs a host"),
    ] {
        let error = error(address);
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(error(&"x".repeat(1 << 20)).to_string().len() < 400);
}

fn line() -> impl Strategy<Value = LineSettings> {
    let one_of = |count: usize| option::of(0..count);
    (
        option::of(1..=FASTEST_BAUD),
        one_of(4),
        one_of(3),
        one_of(2),
        one_of(3),
        any::<[Option<bool>; 2]>(),
    )
        .prop_map(
            |(baud, data, parity, stop, flow, [dtr, rts])| LineSettings {
                baud,
                data_bits: data.map(|index| DataBits::ALL[index]),
                parity: parity.map(|index| Parity::ALL[index]),
                stop_bits: stop.map(|index| StopBits::ALL[index]),
                flow: flow.map(|index| FlowControl::ALL[index]),
                dtr,
                rts,
            },
        )
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9][a-z0-9.-]{0,20}",
        "[0-9a-f]{1,4}::[0-9a-f]{1,4}(%[a-z0-9]{1,5})?"
    ]
}

fn host_port() -> impl Strategy<Value = HostPort> {
    (host(), 1u16..).prop_map(|(host, port)| HostPort::new(host, port).unwrap())
}

fn ssh_options() -> impl Strategy<Value = SshOptions> {
    let path = || option::of("[^\0]{0,12}".prop_map(PathBuf::from));
    (
        option::of("[^\\p{Cc}-][^\\p{Cc}]{0,8}"),
        host(),
        option::of(1u16..),
        option::of("[^\0]{0,20}"),
        (path(), path()),
        0..HostKeyCheck::ALL.len(),
        1u64..=86_400,
    )
        .prop_map(
            |(user, host, port, command, (identity, known_hosts), check, seconds)| SshOptions {
                user,
                host,
                port,
                command,
                identity,
                known_hosts,
                host_key: HostKeyCheck::ALL[check],
                keepalive: Duration::from_secs(seconds),
            },
        )
}

fn target() -> impl Strategy<Value = ConsoleTarget> {
    prop_oneof![
        ("/[^\0]{0,20}", line()).prop_map(|(node, settings)| ConsoleTarget::Serial {
            node: node.into(),
            settings
        }),
        host_port().prop_map(ConsoleTarget::Tcp),
        host_port().prop_map(ConsoleTarget::Telnet),
        (host_port(), line())
            .prop_map(|(address, settings)| ConsoleTarget::Rfc2217 { address, settings }),
        ssh_options().prop_map(ConsoleTarget::Ssh),
        proptest::collection::vec(".{0,12}", 1..6)
            .prop_map(|words| ConsoleTarget::Command(CommandLine::from_words(words).unwrap())),
    ]
}

proptest! {
    #[test]
    fn displayed_target_reads_back(target in target()) {
        let text = target.to_string();
        prop_assert_eq!(text.parse::<ConsoleTarget>().map_err(|e| e.to_string()), Ok(target));
    }

    #[test]
    fn no_text_panics(scheme in "(serial|tcp|telnet|rfc2217|ssh|exec|)", rest in any::<String>()) {
        let _ = rest.parse::<ConsoleTarget>();
        let _ = format!("{scheme}://{rest}").parse::<ConsoleTarget>();
        let _ = format!("{scheme}:///{rest}").parse::<ConsoleTarget>();
    }
}
