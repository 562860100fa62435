//! The card of a board: muxes that hand it from the host to the board, and images written to it.
