//! YAML as PyYAML's safe loader reads it and its safe dumper writes it.
//!
//! LAVA's jobs, devices and exports are whatever PyYAML says they are, so this crate follows
//! PyYAML (CSafeLoader and CSafeDumper of PyYAML 6 with libyaml 0.2.5) rather than a YAML
//! specification: YAML 1.1 scalars, the last duplicate key wins, merge keys are resolved.
//! Every node carries its [`Span`], and loading is bounded by [`Limits`].
//!
//! This crate does no I/O and knows nothing of LAVA.
#![forbid(unsafe_code)]

mod value;

pub use value::{Int, Map, Mark, Node, Span, Value};
