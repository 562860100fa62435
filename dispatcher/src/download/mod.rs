//! Fetches files: parallel, resumed, cached by content, checked and decompressed while streaming.
