//! The gateway between real sockets and real processes.

mod peer;
mod transparent;
