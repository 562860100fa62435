//! Writes and reads the journal, and the views on it.
