//! A disk on the USB, made of the kernel's gadget functions and plugged into `dummy_hcd`.

use std::path::{Path, PathBuf};

/// A gadget of dummy_hcd with a disk, unplugged when dropped.
pub(crate) struct Disk {
    gadget: PathBuf,
    controller: String,
}

impl Disk {
    pub(crate) fn plug(serial: &str, backing: &Path) -> Self {
        let controllers = fs_err::read_dir("/sys/class/udc").unwrap();
        let mut names: Vec<_> = controllers
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let controller = names.into_iter().next().expect("dummy_hcd is loaded");
        let gadget = PathBuf::from("/sys/kernel/config/usb_gadget/pumice");
        let make = |path: &str| fs_err::create_dir_all(gadget.join(path)).unwrap();
        let set = |path: &str, text: &str| fs_err::write(gadget.join(path), text).unwrap();
        for path in [
            "",
            "strings/0x409",
            "configs/c.1",
            "functions/mass_storage.0",
        ] {
            make(path);
        }
        set("idVendor", "0x1d6b");
        set("idProduct", "0x0104");
        set("strings/0x409/serialnumber", serial);
        set("strings/0x409/product", "Test disk");
        set("functions/mass_storage.0/lun.0/removable", "1");
        set(
            "functions/mass_storage.0/lun.0/file",
            &backing.display().to_string(),
        );
        let link = gadget.join("configs/c.1/mass_storage.0");
        if !link.exists() {
            std::os::unix::fs::symlink(gadget.join("functions/mass_storage.0"), link).unwrap();
        }
        let disk = Self { gadget, controller };
        disk.connect();
        disk
    }

    pub(crate) fn connect(&self) {
        fs_err::write(self.gadget.join("UDC"), &self.controller).unwrap();
    }

    pub(crate) fn unplug(&self) {
        let _ = fs_err::write(self.gadget.join("UDC"), "\n");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.unplug();
        let gadget = &self.gadget;
        let _ = fs_err::remove_file(gadget.join("configs/c.1/mass_storage.0"));
        let parts = [
            "configs/c.1",
            "functions/mass_storage.0",
            "strings/0x409",
            "",
        ];
        for part in parts {
            let _ = fs_err::remove_dir(gadget.join(part));
        }
    }
}
