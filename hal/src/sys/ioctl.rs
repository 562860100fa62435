//! Requests to devices that have no safe interface: HID feature reports, USB control transfers,
//! drivers of USB interfaces, the cache of a block device.
//!
//! Called by [`crate::usb`] and [`crate::storage`] alone. Numbers and layouts are those of
//! `linux/hidraw.h`, `linux/usbdevice_fs.h` and `linux/fs.h`, stable parts of the kernel's
//! interface.

use rustix::{
    io::Errno,
    ioctl::{Direction, Ioctl, IoctlOutput, NoArg, Opcode, Updater, ioctl, opcode},
};
use std::{ffi::c_void, os::fd::AsFd};

/// The eight bytes of a control transfer's setup stage, without the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// `bmRequestType`: direction, type and recipient.
    pub(crate) kind: u8,
    /// `bRequest`.
    pub(crate) request: u8,
    /// `wValue`.
    pub(crate) value: u16,
    /// `wIndex`.
    pub(crate) index: u16,
}

/// A request whose argument is a buffer, with the buffer's size in its number.
struct Buffer<'a> {
    number: u8,
    data: &'a mut [u8],
}

// SAFETY: the size encoded in the opcode is that of the buffer, so the kernel reads and writes
// inside it; what it returns is a number of bytes.
unsafe impl Ioctl for Buffer<'_> {
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::from_components(Direction::ReadWrite, b'H', self.number, self.data.len())
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.data.as_mut_ptr().cast()
    }

    unsafe fn output_from_ptr(
        returned: IoctlOutput,
        _: *mut c_void,
    ) -> rustix::io::Result<Self::Output> {
        usize::try_from(returned).map_err(|_| Errno::IO)
    }
}

/// Sends a feature report; its first byte is the report's number, 0 where reports have none.
/// `report` is not changed, but the kernel wants it writable.
pub(crate) fn hid_set_feature(device: impl AsFd, report: &mut [u8]) -> Result<(), Errno> {
    let request = Buffer {
        number: 0x06,
        data: report,
    };
    // SAFETY: `HIDIOCSFEATURE(len)` reads `len` bytes, which is what `Buffer` promises.
    unsafe { ioctl(device, request) }.map(drop)
}

/// Asks for the feature report whose number is in `report[0]`, and gives the number of bytes now
/// in `report`, the number included.
pub(crate) fn hid_get_feature(device: impl AsFd, report: &mut [u8]) -> Result<usize, Errno> {
    let room = report.len();
    let request = Buffer {
        number: 0x07,
        data: report,
    };
    // SAFETY: `HIDIOCGFEATURE(len)` writes at most `len` bytes, which is what `Buffer` promises.
    unsafe { ioctl(device, request) }.map(|length| length.min(room))
}

/// `struct usbdevfs_ctrltransfer`.
#[repr(C)]
struct ControlTransfer {
    kind: u8,
    request: u8,
    value: u16,
    index: u16,
    length: u16,
    timeout: u32,
    data: *mut c_void,
}

const CONTROL: Opcode = opcode::read_write::<ControlTransfer>(b'U', 0);

/// A request of usbfs whose argument is a structure `T`, in which a pointer and a length are those
/// of `data`; its number is `OPCODE`.
struct Transfer<'a, const OPCODE: Opcode, T> {
    argument: T,
    /// What the pointer points to, borrowed until the kernel is done.
    _data: &'a mut [u8],
}

// SAFETY: both opcodes that this is used with carry the size of their structure, whose pointer and
// length are those of a buffer that is borrowed mutably for the whole call.
unsafe impl<const OPCODE: Opcode, T> Ioctl for Transfer<'_, OPCODE, T> {
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.argument).cast()
    }

    unsafe fn output_from_ptr(
        returned: IoctlOutput,
        _: *mut c_void,
    ) -> rustix::io::Result<Self::Output> {
        usize::try_from(returned).map_err(|_| Errno::IO)
    }
}

/// One control transfer through usbfs, in the direction that `setup.kind` says; gives the number
/// of bytes moved. A timeout of zero would be forever, so it is one millisecond at least.
pub(crate) fn usb_control(
    device: impl AsFd,
    setup: Setup,
    data: &mut [u8],
    milliseconds: u32,
) -> Result<usize, Errno> {
    let request = Transfer::<CONTROL, _> {
        argument: ControlTransfer {
            kind: setup.kind,
            request: setup.request,
            value: setup.value,
            index: setup.index,
            length: u16::try_from(data.len()).map_err(|_| Errno::INVAL)?,
            timeout: milliseconds.max(1),
            data: data.as_mut_ptr().cast(),
        },
        _data: data,
    };
    // SAFETY: `USBDEVFS_CONTROL` reads or writes `length` bytes at `data` and blocks until it is
    // done with them.
    unsafe { ioctl(device, request) }
}

/// `struct usbdevfs_bulktransfer`.
#[repr(C)]
struct BulkTransfer {
    endpoint: u32,
    length: u32,
    timeout: u32,
    data: *mut c_void,
}

const BULK: Opcode = opcode::read_write::<BulkTransfer>(b'U', 2);

/// One bulk or interrupt transfer through usbfs, in the direction of the endpoint's number; gives
/// the number of bytes moved. Takes the interface, unless a driver of the kernel has it.
pub(crate) fn usb_transfer(
    device: impl AsFd,
    endpoint: u8,
    data: &mut [u8],
    milliseconds: u32,
) -> Result<usize, Errno> {
    let request = Transfer::<BULK, _> {
        argument: BulkTransfer {
            endpoint: endpoint.into(),
            length: u32::try_from(data.len()).map_err(|_| Errno::INVAL)?,
            timeout: milliseconds.max(1),
            data: data.as_mut_ptr().cast(),
        },
        _data: data,
    };
    // SAFETY: `USBDEVFS_BULK` reads or writes `length` bytes at `data` and blocks until it is done
    // with them.
    unsafe { ioctl(device, request) }
}

/// `struct usbdevfs_ioctl`.
#[repr(C)]
struct InterfaceIoctl {
    interface: i32,
    code: i32,
    data: *mut c_void,
}

const INTERFACE_IOCTL: Opcode = opcode::read_write::<InterfaceIoctl>(b'U', 18);
const RESET: Opcode = opcode::none(b'U', 20);
const DISCONNECT: i32 = opcode_of_nothing(22);
const CONNECT: i32 = opcode_of_nothing(23);
const FLUSH_BUFFERS: Opcode = opcode::none(0x12, 97);

// The kernel keeps these numbers in an int as well.
const fn opcode_of_nothing(number: u8) -> i32 {
    opcode::none(b'U', number) as i32
}

/// Lets the kernel's driver go of an interface, or lets it look for one again.
pub(crate) fn usb_attach_driver(
    device: impl AsFd,
    interface: u8,
    attach: bool,
) -> Result<(), Errno> {
    let mut request = InterfaceIoctl {
        interface: interface.into(),
        code: if attach { CONNECT } else { DISCONNECT },
        data: std::ptr::null_mut(),
    };
    // SAFETY: `USBDEVFS_IOCTL` takes this structure; neither of the two codes has data.
    unsafe { ioctl(device, Updater::<INTERFACE_IOCTL, _>::new(&mut request)) }
}

/// Resets a USB device, as if it were plugged in again; it keeps its address.
pub(crate) fn usb_reset(device: impl AsFd) -> Result<(), Errno> {
    // SAFETY: `USBDEVFS_RESET` takes no argument.
    unsafe { ioctl(device, NoArg::<RESET>::new()) }
}

/// Writes out and forgets what the kernel caches of a block device.
pub(crate) fn block_flush(device: impl AsFd) -> Result<(), Errno> {
    // SAFETY: `BLKFLSBUF` takes no argument.
    unsafe { ioctl(device, NoArg::<FLUSH_BUFFERS>::new()) }
}
