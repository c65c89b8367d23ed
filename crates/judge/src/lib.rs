//! judge

pub mod content;
