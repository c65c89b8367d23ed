//! The chain, as claims.

use super::*;

#[test]
fn the_hash_covers_exactly_the_documented_bytes() {
    // Independently: printf 'prudence/entry/1' + 8 bytes of 1 + 32 zero bytes + 8 bytes of 5 + 'hello' | sha256sum
    let hash = link(Seq(1), EntryHash::ZERO, b"hello");
    assert_eq!(hash.to_string(), "8550f82836e76f48676b70437469f20c0a9ab87090b0a8ada6ac299f43fd9306");
}

#[test]
fn a_hash_reads_back_what_it_writes_and_nothing_else() {
    let hash = link(Seq(1), EntryHash::ZERO, b"");
    assert_eq!(hash.to_string().parse(), Ok(hash));
    for text in ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
        assert_eq!(text.parse::<EntryHash>(), Err(ParseHashError), "{text}");
    }
}
