//! Hardware: consoles, power, storage, and the one way to start a process.
