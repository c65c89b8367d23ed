//! The engine, as claims.
