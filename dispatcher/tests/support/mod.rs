//! What the integration tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

pub mod story;
