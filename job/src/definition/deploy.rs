//! `deploy:` blocks.

use super::UrlBlock;
use crate::{Problem, document::Cursor};

/// A `deploy:` block.
#[derive(Clone, Debug, PartialEq)]
pub struct Deploy {
    /// `to`: the method.
    pub to: String,
    /// `os`: selects the facts about the deployed system.
    pub os: Option<String>,
    /// `authorize: ssh`: a key for the tests to log in with.
    pub authorize: Option<String>,
    /// What the method wants.
    pub method: DeployMethod,
}

/// What a deploy method wants, where Pumice has types for it.
#[derive(Clone, Debug, PartialEq)]
pub enum DeployMethod {
    /// `to: tmpfs`
    Tmpfs(Box<TmpfsDeploy>),
    /// `to: overlay`
    Overlay,
    /// Any other.
    Other,
}

/// `to: tmpfs`: images for an emulator or a small board.
#[derive(Clone, Debug, PartialEq)]
pub struct TmpfsDeploy {
    /// Label and file of each image, in order.
    pub images: Vec<(String, UrlBlock)>,
    /// The firmware.
    pub uefi: Option<UrlBlock>,
    /// `type: monitor`: images that take no overlay.
    pub monitor: bool,
}

impl Deploy {
    pub(super) fn read(block: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let to = block.require("to", problems)?.text(problems)?;
        let method = match to.as_str() {
            "tmpfs" => DeployMethod::Tmpfs(Box::new(TmpfsDeploy::read(block, problems))),
            "overlay" => DeployMethod::Overlay,
            _ => DeployMethod::Other,
        };
        Some(Self {
            to,
            os: block.text_at("os", problems),
            authorize: block.text_at("authorize", problems),
            method,
        })
    }
}

impl TmpfsDeploy {
    fn read(block: &Cursor<'_>, problems: &mut Vec<Problem>) -> Self {
        let images = block
            .get("images")
            .map_or_else(Vec::new, |images| images.entries(problems));
        Self {
            images: images
                .into_iter()
                .filter_map(|(label, image)| Some((label, UrlBlock::read(&image, problems)?)))
                .collect(),
            uefi: block
                .set("uefi")
                .and_then(|uefi| UrlBlock::read(&uefi, problems)),
            monitor: block
                .get("type")
                .is_some_and(|kind| kind.node().as_str() == Some("monitor")),
        }
    }
}
