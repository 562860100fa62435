//! Builds the overlay of helpers and tests, and puts it into images.
