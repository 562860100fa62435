//! Runs a plan: deadlines, retries, cancellation, clean-up.
