//! An image onto the card behind a mux.

use super::{
    Bmap, ImageWriter, Progress, Side, StorageMux, Written,
    mux::{release, wait_for_disk},
};
use crate::error::{ErrorKind, HalError};
use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// How long the host may take to see the card.
const DISK_WITHIN: Duration = Duration::from_secs(30);

/// Reports of progress that may wait for a slow listener.
const WAITING_REPORTS: usize = 16;

/// An image to be written.
pub struct FlashImage {
    /// Its bytes.
    pub image: Box<dyn Read + Send>,
    /// Its size, where that is known.
    pub size: Option<u64>,
    /// Which of its blocks hold data, where that is known.
    pub bmap: Option<Bmap>,
    /// Whether to read it back.
    pub verify: bool,
}

/// Connects the card to the host, writes `image`, and connects it to the board. `progress` hears
/// how far it got.
///
/// Cancel-safe in that a dropped future stops the writing; the card then stays at the host, with
/// half an image on it.
///
/// # Errors
/// What the mux, the disk or the image is at fault with: see [`StorageMux::set`] and
/// [`ImageWriter::write`]. After an error the card is at the host.
pub async fn flash(
    mux: &mut dyn StorageMux,
    image: FlashImage,
    deadline: Instant,
    mut progress: impl FnMut(Progress),
) -> Result<Written, HalError> {
    mux.set(Side::Host, deadline).await?;
    let disk = wait_for_disk(mux, deadline.min(Instant::now() + DISK_WITHIN)).await?;
    let mut writer = ImageWriter::new(&disk, deadline.into_std()).verify(image.verify);
    if let Some(size) = image.size {
        writer = writer.size(size);
    }
    if let Some(bmap) = image.bmap {
        writer = writer.bmap(bmap);
    }
    let stop = StopOnDrop::default();
    let reader = Stoppable {
        image: image.image,
        stop: stop.0.clone(),
    };
    let (reports, mut heard) = mpsc::channel(WAITING_REPORTS);
    let job = tokio::task::spawn_blocking(move || {
        writer.write(reader, |report| {
            // One that is lost is followed by another.
            let _ = reports.try_send(report);
        })
    });
    while let Some(report) = heard.recv().await {
        progress(report);
    }
    let name = disk.display().to_string();
    let written = job.await.map_err(|_| {
        HalError::new(
            ErrorKind::Other,
            &name,
            format!("the writing of {name} was given up"),
        )
    })??;
    release(&disk, deadline).await?;
    mux.set(Side::Board, deadline).await?;
    Ok(written)
}

/// Tells the writing thread that nobody waits for it any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// An image that ends in an error once it is stopped.
struct Stoppable {
    image: Box<dyn Read + Send>,
    stop: Arc<AtomicBool>,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(std::io::Error::other("the writing was cancelled"));
        }
        self.image.read(buffer)
    }
}
