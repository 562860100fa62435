//! A device on the USB, made of the kernel's gadget functions and plugged into `dummy_hcd`.

use std::path::{Path, PathBuf};

/// The ports that dummy_hcd has.
pub(crate) const CONTROLLERS: [&str; 2] = ["dummy_udc.0", "dummy_udc.1"];

/// A gadget of dummy_hcd, gone when dropped.
pub(crate) struct Gadget {
    directory: PathBuf,
    controller: &'static str,
    function: &'static str,
}

impl Gadget {
    /// A disk whose medium is the file `backing`.
    pub(crate) fn disk(serial: &str, backing: &Path) -> Self {
        let gadget = Self::new(CONTROLLERS[0], serial, "Test disk", "mass_storage.0");
        gadget.set("functions/mass_storage.0/lun.0/removable", "1");
        let file = backing.display().to_string();
        gadget.set("functions/mass_storage.0/lun.0/file", &file);
        gadget.connect();
        gadget
    }

    /// A serial port: a `/dev/ttyACM*`, whose far end is [`Gadget::far_end`].
    pub(crate) fn serial(controller: &'static str, serial: &str) -> Self {
        let gadget = Self::new(controller, serial, "Test port", "acm.0");
        gadget.connect();
        gadget
    }

    fn new(controller: &'static str, serial: &str, product: &str, function: &'static str) -> Self {
        let directory = Path::new("/sys/kernel/config/usb_gadget").join(controller);
        let gadget = Self {
            directory,
            controller,
            function,
        };
        // What a test that was killed left behind.
        gadget.take_apart();
        let functions = format!("functions/{function}");
        for path in ["", "strings/0x409", "configs/c.1", &functions] {
            fs_err::create_dir_all(gadget.directory.join(path)).unwrap();
        }
        gadget.set("idVendor", "0x1d6b");
        gadget.set("idProduct", "0x0104");
        gadget.set("strings/0x409/serialnumber", serial);
        gadget.set("strings/0x409/manufacturer", "Pumice");
        gadget.set("strings/0x409/product", product);
        let link = gadget.directory.join("configs/c.1").join(function);
        std::os::unix::fs::symlink(gadget.directory.join(functions), link).unwrap();
        gadget
    }

    fn set(&self, path: &str, text: &str) {
        fs_err::write(self.directory.join(path), text).unwrap();
    }

    pub(crate) fn connect(&self) {
        self.set("UDC", self.controller);
    }

    pub(crate) fn unplug(&self) {
        let _ = fs_err::write(self.directory.join("UDC"), "\n");
    }

    /// The board's side of a serial port.
    pub(crate) fn far_end(&self) -> PathBuf {
        let number = self.directory.join("functions/acm.0/port_num");
        let number = fs_err::read_to_string(number).unwrap();
        PathBuf::from(format!("/dev/ttyGS{}", number.trim()))
    }

    fn take_apart(&self) {
        let directory = &self.directory;
        if !directory.exists() {
            return;
        }
        self.unplug();
        let configuration = directory.join("configs/c.1");
        let _ = fs_err::remove_file(configuration.join(self.function));
        let function = directory.join("functions").join(self.function);
        let strings = directory.join("strings/0x409");
        for part in [&configuration, &function, &strings, directory] {
            let _ = fs_err::remove_dir(part);
        }
    }
}

impl Drop for Gadget {
    fn drop(&mut self) {
        self.take_apart();
    }
}
