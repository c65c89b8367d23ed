//! The gateway between real sockets and real processes.

mod brokered;
mod credentials;
mod decided;
mod official;
mod peer;
mod process;
mod several;
mod transparent;
mod world;
