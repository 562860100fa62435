//! Who has the card: the host or the board.

use super::{ControlMux, ProgramMux, guard};
use crate::{
    blocking,
    error::{ErrorKind, HalError},
    usb::{NodeKind, Sysfs, UsbDevice, UsbMatch},
};
use async_trait::async_trait;
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// How often to look for the card's disk.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a card is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// To this host, which sees it as a disk.
    Host,
    /// To the board.
    Board,
    /// Nowhere.
    Off,
}

/// A device that connects a card to the host or to a board.
///
/// The contract of every implementation:
/// - **Idempotent.** Setting the side it is on is not an error.
/// - **The switch alone.** `Ok` means that the device was told and, where it can be asked, says
///   so; that the host sees the disk is for [`Self::disk`] to tell. Whoever takes a card from the
///   host calls [`release`] first.
/// - **Cancellation.** A dropped future leaves the card on either side.
/// - **Drop.** Dropping a mux leaves the card where it is.
#[async_trait]
pub trait StorageMux: Send {
    /// Connects the card to `side`.
    ///
    /// # Errors
    /// `Unsupported` for a side that it does not have, `NotFound` when the mux is not plugged in,
    /// `Unconfirmed` when it says another side afterwards, `Timeout`, or what failed.
    async fn set(&mut self, side: Side, deadline: Instant) -> Result<(), HalError>;

    /// Where the card is; `None` when the mux cannot tell.
    ///
    /// # Errors
    /// As [`Self::set`].
    async fn state(&mut self, deadline: Instant) -> Result<Option<Side>, HalError> {
        let _ = deadline;
        Ok(None)
    }

    /// The card's disk, while the host sees it; `None` otherwise, or where the mux does not know
    /// which disk is the card's.
    ///
    /// # Errors
    /// When `/sys` cannot be read, or several disks may be meant.
    fn disk(&self) -> Result<Option<PathBuf>, HalError> {
        Ok(None)
    }
}

/// The models and their ids: what `open_mux` knows and listing finds.
pub(super) fn known_muxes() -> &'static [(&'static str, (u16, u16))] {
    &[
        ("usbsdmux", (0x0424, 0x4041)),
        ("sdwire", (0x04e8, 0x6001)),
        ("sdwire3", (0x0bda, 0x0316)),
        ("dutlink", (0x2b23, 0x1012)),
        ("usb-mux", (0x33f7, 0x0001)),
    ]
}

/// Opens the mux that `text` names: a model and, where there are several, which:
/// "usbsdmux:serial=00048.00643", "sdwire:path=1-1.2", "sdwire3". A mux whose card comes up on
/// another port takes the disk's USB path as well: "dutlink:serial=X,disk=1-1.3".
///
/// # Errors
/// `InvalidInput` for text that is none of it.
pub fn open_mux(text: &str, sysfs: &Sysfs) -> Result<Box<dyn StorageMux>, HalError> {
    let (model, rest) = text.split_once(':').unwrap_or((text, ""));
    let Some((model, ids)) = known_muxes().iter().find(|(name, _)| *name == model) else {
        let known: Vec<_> = known_muxes().iter().map(|(name, _)| *name).collect();
        let shown: String = text.chars().take(80).collect();
        let message = format!("'{}' is no storage mux", shown.escape_debug());
        return Err(
            HalError::new(ErrorKind::InvalidInput, "storage mux", message)
                .with_hint(format!("models are: {}", known.join(", "))),
        );
    };
    let (mut which, mut disk) = (Vec::new(), None);
    for part in rest.split(',').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("disk", path)) => disk = Some(format!("path={path}").parse::<UsbMatch>()?),
            _ => which.push(part),
        }
    }
    let which: UsbMatch = if which.is_empty() {
        UsbMatch::default()
    } else {
        which.join(",").parse()?
    };
    let target = Target {
        which: which.with_ids(&[*ids]),
        disk: disk.and_then(|disk| disk.path),
        sysfs: sysfs.clone(),
    };
    Ok(match *model {
        "sdwire" => Box::new(ControlMux::sdwire(target)),
        "sdwire3" => Box::new(ControlMux::sdwire3(target)),
        "dutlink" => Box::new(ControlMux::dutlink(target)),
        "usb-mux" => Box::new(ProgramMux::usb_mux(target)),
        _ => Box::new(ProgramMux::usbsdmux(target)),
    })
}

/// Which mux, and where its card comes up.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) which: UsbMatch,
    /// The USB path of the disk, where the lab says it.
    pub(super) disk: Option<String>,
    pub(super) sysfs: Sysfs,
}

/// Where a model's card comes up, as seen from the mux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskAt {
    /// It is a disk of the same USB device.
    Itself,
    /// It is the disk of a device at the same hub: the one inside the mux.
    SameHub,
    /// The lab has to say.
    Elsewhere,
}

impl Target {
    pub(super) fn find(&self) -> Result<UsbDevice, HalError> {
        self.which.find(&self.sysfs)
    }

    /// The disk of the card.
    pub(super) fn disk(&self, at: DiskAt) -> Result<Option<PathBuf>, HalError> {
        let devices = match (&self.disk, at) {
            (Some(path), _) => self.sysfs.usb_device(path).into_iter().collect(),
            (None, DiskAt::Itself) => vec![self.find()?],
            (None, DiskAt::SameHub) => {
                let hub = self.find()?.parent();
                let devices = self.sysfs.usb_devices()?.into_iter();
                devices.filter(|device| device.parent() == hub).collect()
            }
            (None, DiskAt::Elsewhere) => Vec::new(),
        };
        let disks = devices
            .iter()
            .flat_map(|device| device.nodes(NodeKind::Block));
        let mut disks: Vec<_> = disks.filter(|disk| self.has_medium(disk)).collect();
        match (disks.pop(), disks.is_empty()) {
            (Some(disk), true) => Ok(Some(disk.to_owned())),
            (None, _) => Ok(None),
            (Some(_), false) => {
                let which = &self.which;
                let message = format!("several disks may be the card of the mux {which}");
                Err(
                    HalError::new(ErrorKind::InvalidInput, which.to_string(), message)
                        .with_hint("say which by its USB path: disk=1-1.3"),
                )
            }
        }
    }

    /// A card reader without a card is a disk of size zero.
    fn has_medium(&self, disk: &Path) -> bool {
        let Some(name) = disk.file_name() else {
            return false;
        };
        let size = self.sysfs.sys().join("class/block").join(name).join("size");
        let size = fs_err::read_to_string(size).unwrap_or_default();
        size.trim().parse::<u64>().is_ok_and(|sectors| sectors > 0)
    }
}

/// Gets a disk ready to be taken away: nothing is mounted from it, all is written to it.
///
/// # Errors
/// `Busy` when something uses it, with what; else what failed.
pub async fn release(disk: &Path, deadline: Instant) -> Result<(), HalError> {
    let path = disk.to_owned();
    blocking::run(&disk.display().to_string(), deadline, move || {
        guard::refuse_in_use(&path)?;
        guard::flush(&path)
    })
    .await
}

/// Waits until the host sees the card's disk, with a medium in it. Cancel-safe.
///
/// # Errors
/// `Timeout` when it does not come, or what [`StorageMux::disk`] reports.
pub(super) async fn wait_for_disk(
    mux: &dyn StorageMux,
    deadline: Instant,
) -> Result<PathBuf, HalError> {
    let begun = Instant::now();
    loop {
        // A mux that just switched may itself be on its way back.
        match mux.disk() {
            Ok(Some(disk)) if disk.exists() => return Ok(disk),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            let waited = deadline.saturating_duration_since(begun);
            let message =
                format!("the mux was switched to the host, and no disk came in {waited:.1?}");
            return Err(HalError::new(ErrorKind::Timeout, "storage mux", message)
                .with_hint("is a card in it? The kernel's log says what came and went"));
        }
        sleep_until((Instant::now() + LOOK_EVERY).min(deadline)).await;
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Board => "board",
            Self::Off => "off",
        })
    }
}
