//! Holds the house rules that no compiler knows: which crate may know which, what the judge may depend on, and that every
//! crate has its paragraph in ARCHITECTURE.md. There is nothing to link here; see `tests/tidy.rs`.
