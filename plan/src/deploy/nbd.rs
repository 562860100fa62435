//! `to: nbd`: the root file system is a network block device.

use super::{require_key, require_method, tftp};
use crate::{
    Step,
    builder::{Builder, Planned, Spec},
    download, overlay_tree,
    step::netboot::NbdServer,
};
use job::document::Cursor;

/// The file that becomes the block device.
const IMAGE: &str = "nbdroot";

pub(super) fn plan(builder: &mut Builder<'_, '_>) -> Planned {
    require_method(builder, "nbd", "nbd")?;
    let block = builder.cursor();
    for key in ["kernel", IMAGE] {
        require_key(&block, key)?;
    }
    let port = port(builder);
    tftp::begin(builder);
    builder.nest(Spec::new("nbd-deploy", Step::NbdDeploy), |builder| {
        for key in ["initrd", "kernel", "dtb"] {
            tftp::fetch(builder, key, block.set(key))?;
        }
        download::add_key(builder, &block, IMAGE)?;
        overlay_tree::add_or_skip(builder)?;
        tftp::prepare_kernel(builder, &block)?;
        let server = NbdServer {
            label: IMAGE.to_owned(),
            port,
        };
        builder.add(Spec::new("xnbd-server-deploy", Step::NbdServer(server)));
        let namespace = builder.namespace().clone();
        builder.state().deployed_mut(&namespace).nbd = true;
        Ok(())
    })
}

/// The port in the job's protocol `lava-xnbd`: `auto`, or a number. LAVA 2026.07 wants the
/// protocol in every such job; one without it gets a free port here.
fn port(builder: &mut Builder<'_, '_>) -> Option<u16> {
    let protocol = builder.definition().protocols.get("lava-xnbd")?;
    let wanted = protocol.get("port")?;
    let text = Cursor::root(wanted).as_text()?;
    if text == "auto" {
        return None;
    }
    let port = text.parse().ok().filter(|port| *port > 0);
    if port.is_none() {
        let problem = builder
            .cursor()
            .problem(format!("`{text}` is no port for the protocol lava-xnbd"))
            .with_hint("set its `port` to `auto`, or to a number up to 65535");
        builder.report(problem);
    }
    port
}
