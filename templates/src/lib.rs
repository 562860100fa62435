//! Renders device type, device dictionary and job context to a device, as LAVA's server does.
#![forbid(unsafe_code)]
