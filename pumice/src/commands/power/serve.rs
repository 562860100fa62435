//! `pumice power serve`

use crate::{
    cli::ServeArguments,
    exit::{Exit, Stop},
    lab, message,
    signals::Signals,
};
use power_daemon::{
    Event, Fronts, Limits, Switchboard, Tokens,
    pdudaemon::{self, Listen},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::net::{TcpListener, lookup_host};
use tokio_util::sync::CancellationToken;

/// Where to listen, by the command line and by pdudaemon.conf.
#[derive(Default)]
struct Addresses {
    http: Option<SocketAddr>,
    line: Option<SocketAddr>,
}

pub(crate) fn main(arguments: &ServeArguments) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: &ServeArguments) -> Result<Exit, Stop> {
    let mut signals = Signals::install();
    let (switchboard, listen) = switchboard(arguments)?;
    let tokens = match &arguments.token_file {
        Some(file) => {
            Tokens::from_file(file).map_err(|error| Stop::bad_definition(error.to_string()))?
        }
        None => Tokens::default(),
    };
    let addresses = addresses(arguments, listen, &tokens).await?;
    let has_tokens = !tokens.are_none();
    let fronts = Fronts {
        http: listen_at(addresses.http, "HTTP", has_tokens).await?,
        line: listen_at(addresses.line, "pduclient's lines", false).await?,
        tokens,
    };
    let stop = CancellationToken::new();
    let ending = stop.clone();
    let signals = tokio::spawn(async move {
        signals.next().await;
        message::note("ending: what was begun is done first");
        ending.cancel();
    });
    let log = Arc::new(|event: &Event<'_>| message::note(&event.to_string()));
    power_daemon::serve(fronts, Arc::new(switchboard), log, stop).await;
    signals.abort();
    Ok(Exit::Complete)
}

/// The PDUs, and where pdudaemon.conf wants to listen.
fn switchboard(arguments: &ServeArguments) -> Result<(Switchboard, Option<Listen>), Stop> {
    let mut limits = Limits {
        timeout: arguments.timeout,
        ..Limits::default()
    };
    let Some(path) = &arguments.pdudaemon_conf else {
        let lab = lab::read(&arguments.lab)?;
        report(&lab, &BTreeMap::new());
        return Ok((Switchboard::new(lab, limits), None));
    };
    limits.off_for = Some(pdudaemon::OFF_FOR);
    let configuration = pdudaemon::read(path).map_err(|error| lab::bad(&error))?;
    report(&configuration.lab, &configuration.unusable);
    let switchboard = Switchboard::new(configuration.lab, limits);
    let switchboard = switchboard.with_unusable(configuration.unusable);
    Ok((switchboard, Some(configuration.listen)))
}

fn report(lab: &hal::lab::Lab, unusable: &BTreeMap<String, String>) {
    for (name, why) in unusable {
        message::warning(&format!("{name} cannot be used: {why}"));
    }
    let (pdus, boards) = (lab.pdus().count(), lab.boards().count());
    message::note(&format!("{pdus} PDUs, {boards} boards"));
}

/// The command line decides over the file; without either it is this host alone.
async fn addresses(
    arguments: &ServeArguments,
    listen: Option<Listen>,
    tokens: &Tokens,
) -> Result<Addresses, Stop> {
    let mut addresses = Addresses {
        http: arguments.listen,
        line: arguments.listen_tcp,
    };
    let is_said = addresses.http.is_some() || addresses.line.is_some();
    match listen {
        Some(listen) if !is_said => {
            let address = resolve(&listen).await?;
            if !listen.line {
                addresses.http = Some(address);
            } else if tokens.are_none() {
                addresses.line = Some(address);
            } else {
                return Err(Stop::bad_command_line(
                    "pdudaemon.conf says listener: tcp, which cannot carry the tokens of \
                     --token-file\nhint: --listen ADDRESS serves HTTP",
                ));
            }
        }
        _ if addresses.http.is_none() => {
            addresses.http = Some((Ipv4Addr::LOCALHOST, power_daemon::PORT).into());
        }
        _ => {}
    }
    Ok(addresses)
}

async fn resolve(listen: &Listen) -> Result<SocketAddr, Stop> {
    let name = format!("{}:{}", listen.host, listen.port);
    let cannot = |why: &str| Stop::bad_definition(format!("cannot listen at {name}: {why}"));
    let mut found = lookup_host((listen.host.as_str(), listen.port))
        .await
        .map_err(|error| cannot(&error.to_string()))?;
    found
        .next()
        .ok_or_else(|| cannot("this name has no address"))
}

async fn listen_at(
    address: Option<SocketAddr>,
    what: &str,
    has_tokens: bool,
) -> Result<Option<TcpListener>, Stop> {
    let Some(address) = address else {
        return Ok(None);
    };
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let text = format!("cannot listen at {address}: {error}");
        Stop::new(Exit::InfrastructureFault, text)
    })?;
    let address = listener.local_addr()?;
    message::note(&format!("listening at {address} for {what}"));
    if !is_loopback(address.ip()) && !has_tokens {
        message::warning(&format!(
            "everyone who reaches {address} can switch the boards of this lab\nhint: --token-file \
             lets in only those who have a token"
        ));
    }
    Ok(Some(listener))
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
