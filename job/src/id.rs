//! Identifiers, each a type of its own so that they are not mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text that is known to be such an identifier.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

text_id!(
    /// The public id of a job: a number, or `N.M` for one device of a MultiNode job.
    JobId
);
text_id!(
    /// Isolates the data and the connection of a group of actions; `common` when a job names none.
    Namespace
);
text_id!(
    /// The place of an action in the tree, `1.2.3`.
    Level
);
text_id!(
    /// The name of one device (a board), as the lab calls it.
    DeviceName
);

impl Namespace {
    /// The namespace of jobs that name none.
    pub fn common() -> Self {
        Self::new("common")
    }
}

impl Level {
    /// Whether this is an action of the job itself, not one nested in another.
    pub fn is_top(&self) -> bool {
        !self.0.contains('.')
    }

    /// The action of the job itself that this one is nested in, or is.
    #[must_use]
    pub fn top(&self) -> Self {
        Self(self.0.split('.').next().unwrap_or_default().to_owned())
    }
}
