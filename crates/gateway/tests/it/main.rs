//! The gateway between real sockets and real processes.

mod credentials;
mod peer;
mod process;
mod several;
mod transparent;
