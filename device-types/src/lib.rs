//! Our device types, embedded so that the binary needs no source checkout.
#![forbid(unsafe_code)]
