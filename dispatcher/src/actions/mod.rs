//! What each action does, one file per LAVA keyword.
