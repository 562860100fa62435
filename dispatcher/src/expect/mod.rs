//! The console engine: bytes in, matches, kernel messages and signals out. Pure.
