//! What is kept of a boot: its kernel messages, and its text for a diagnosis.

use super::{Consoles, session::Kernel};
use crate::expect::kernel::KernelMessage;
use job::Namespace;

impl Consoles {
    /// From now on what a console prints is kept as that of a boot, from the last switch of the
    /// board's power on; until [`forget_boot`](Self::forget_boot).
    pub fn watch_boot(&mut self, namespace: &Namespace) {
        if let Some(session) = self.sessions.get_mut(namespace) {
            session.boot.get_or_insert_default();
        }
    }

    /// The boot is over.
    pub fn forget_boot(&mut self, namespace: &Namespace) {
        if let Some(session) = self.sessions.get_mut(namespace) {
            session.boot = None;
        }
    }

    /// What the boot that is watched has printed.
    pub fn boot_text(&self, namespace: &Namespace) -> Option<Vec<u8>> {
        let boot = self.sessions.get(namespace)?.boot.as_ref()?;
        Some(boot.text())
    }

    /// From now on kernel messages of a console are collected, and a fatal one ends a wait.
    pub fn watch_kernel(&mut self, namespace: &Namespace) {
        if let Some(session) = self.sessions.get_mut(namespace) {
            let mut kernel = Kernel::default();
            kernel.push(session.matcher.pending());
            session.kernel = Some(kernel);
        }
    }

    /// The kernel messages since [`watch_kernel`](Self::watch_kernel); no more are collected.
    pub fn take_kernel_messages(&mut self, namespace: &Namespace) -> Vec<KernelMessage> {
        let kernel = self
            .sessions
            .get_mut(namespace)
            .and_then(|session| session.kernel.take());
        kernel.map(Kernel::finish).unwrap_or_default()
    }
}
