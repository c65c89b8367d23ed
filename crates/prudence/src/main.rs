//! The `prudence` command.
fn main() {}
