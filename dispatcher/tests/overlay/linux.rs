//! A real Linux unpacks the images.

use crate::support::{command, has, script};
use dispatcher::overlay::inject::{Format, Injection, OverlayInput, inject};
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// The kernel of the demo (`demo/image`).
fn kernel() -> Option<PathBuf> {
    let kernel =
        std::env::var_os("PUMICE_DEMO_IMAGES").map(|path| Path::new(&path).join("vmlinuz"));
    if kernel.as_ref().is_none_or(|kernel| !kernel.is_file()) {
        eprintln!("SKIPPED: PUMICE_DEMO_IMAGES names no directory with a kernel");
        return None;
    }
    kernel.filter(|_| has("qemu-system-x86_64") && has("busybox") && has("cpio"))
}

/// A root whose first program shows what it finds, and ends.
const ROOT: &str = r#"
mkdir -p root/bin root/dev root/usr/lib/firmware root/etc; cp /bin/busybox root/bin/busybox
ln -s usr/lib root/lib; echo old > root/etc/motd; chmod 700 root/usr/lib
cat > root/init <<'END'
#!/bin/busybox sh
busybox mkdir -p /dev; busybox mount -t devtmpfs dev /dev
exec > /dev/ttyS0 2>&1; echo
busybox ls -lnR /lava-1 | busybox awk 'NF > 8 {print "FOUND", $1, $3, $4, $9}'
echo "FOUND $(busybox cat /lava-1/second) $(busybox cat /etc/motd) $(busybox cat /usr/lib/firmware/blob)"
echo "FOUND lib $(busybox readlink /lib) $(busybox stat -c %a:%u /usr/lib)"
busybox poweroff -f
END
chmod 755 root/init
(cd root && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) > root.cpio
mkdir -p early/kernel/x86/microcode; echo x > early/kernel/x86/microcode/none.bin
(cd early && find . | LC_ALL=C sort | cpio --quiet -o -H newc) > early.cpio
mkdir -p over/lava-1/bin over/lib/firmware over/etc
echo contents > over/lava-1/first; ln over/lava-1/first over/lava-1/second
cp /bin/true over/lava-1/bin/tool; chmod 4755 over/lava-1/bin/tool
echo new > over/etc/motd; echo blob > over/lib/firmware/blob
tar --owner=7 --group=8 -C over -cf over.tar .
"#;

#[test]
#[ignore = "boots a kernel nine times"]
fn linux_finds_the_overlay_whatever_the_compression() {
    let Some(kernel) = kernel() else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    script(directory.path(), ROOT);
    for make in [
        "cat root.cpio",
        "gzip -c root.cpio",
        "bzip2 -c root.cpio",
        "xz --check=crc32 -c root.cpio",
        "xz --format=lzma -c root.cpio",
        "zstd -q -c root.cpio",
        "lz4 -q -l -c root.cpio",
        "lz4 -q -l -c root.cpio; head -c 3 /dev/zero",
        "cat early.cpio; zstd -q -c root.cpio; head -c 333 /dev/zero",
    ] {
        script(directory.path(), &format!("({make}) > image"));
        let injection = Injection {
            image: &path("image"),
            format: Format::Cpio,
            compression: None,
            overlays: &[OverlayInput::Tar {
                archive: path("over.tar"),
                at: "/".to_owned(),
            }],
            output: &path("out"),
        };
        inject(&injection, &CancellationToken::new()).unwrap();
        let output = command("timeout")
            .args([
                "120",
                "qemu-system-x86_64",
                "-nographic",
                "-nodefaults",
                "-m",
                "256",
            ])
            .args(["-no-reboot", "-serial", "stdio", "-kernel"])
            .arg(&kernel)
            .arg("-initrd")
            .arg(path("out"))
            .args(["-append", "console=ttyS0 quiet panic=-1"])
            .output()
            .unwrap();
        let console = String::from_utf8_lossy(&output.stdout);
        let mut found: Vec<&str> = console
            .lines()
            .filter_map(|line| line.trim().strip_prefix("FOUND "))
            .collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                "-rw-r--r-- 7 8 first",
                "-rw-r--r-- 7 8 second",
                "-rwsr-xr-x 7 8 tool",
                "contents new blob",
                "drwxr-xr-x 7 8 bin",
                "lib usr/lib 700:0",
            ],
            "{make}\n{console}"
        );
    }
}
