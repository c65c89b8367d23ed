//! What the content index costs. Acceptance: reading 100 KB costs at most 1 ms (sketch and add).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use divan::{Bencher, black_box, counter::BytesCount};
use judge::content::{ContentKey, Index, Sketch, sketch};

fn main() {
    divan::main();
}

fn key() -> ContentKey {
    ContentKey::new([7; 16])
}

/// Prose of about `bytes` with some numbers in it; every seed has other sentences. Deterministic.
fn prose(seed: u64, bytes: usize) -> String {
    const WORDS: [&str; 24] = [
        "the",
        "plant",
        "in",
        "Lisbon",
        "closes",
        "and",
        "quarterly",
        "revenue",
        "of",
        "customers",
        "is",
        "reported",
        "to",
        "committee",
        "by",
        "engineering",
        "without",
        "delay",
        "we",
        "expect",
        "migration",
        "database",
        "a",
        "reviewed",
    ];
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = String::with_capacity(bytes + 32);
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let draw = (state >> 33) as usize;
        if draw.is_multiple_of(29) {
            write!(text, "INV-{} ", draw % 1_000_000).expect("a String takes everything");
        } else {
            text.push_str(WORDS[draw % WORDS.len()]);
            text.push_str(if draw.is_multiple_of(11) { ".\n" } else { " " });
        }
    }
    text
}

#[divan::bench]
fn read_100_kb(bencher: Bencher) {
    let key = key();
    let text = prose(1, 100_000);
    bencher.counter(BytesCount::of_str(&text)).with_inputs(Index::default).bench_values(|mut index| {
        index.add(1, &sketch(&key, black_box(&text)));
        index
    });
}

#[divan::bench]
fn sketch_100_kb(bencher: Bencher) {
    let key = key();
    let text = prose(1, 100_000);
    bencher.counter(BytesCount::of_str(&text)).bench(|| sketch(&key, black_box(&text)));
}

#[divan::bench]
fn sketch_100_kb_of_accented_text(bencher: Bencher) {
    let key = key();
    let text = prose(1, 100_000).replace('e', "é").replace('o', "ö");
    bencher.counter(BytesCount::of_str(&text)).bench(|| sketch(&key, black_box(&text)));
}

/// A hundred documents, 10 MB: the mean over a growing index, with all its growth.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn add_100_sketches_of_100_kb(bencher: Bencher) {
    let key = key();
    let sketches: Vec<Sketch> = (0..100).map(|seed| sketch(&key, &prose(seed, 100_000))).collect();
    bencher.counter(BytesCount::new(100 * 100_000_usize)).with_inputs(Index::default).bench_values(|mut index| {
        for (item, sketch) in (0..).zip(&sketches) {
            index.add(item, sketch);
        }
        index
    });
}

fn index_of(items: u32, bytes: usize) -> (ContentKey, Index) {
    let key = key();
    let mut index = Index::default();
    for item in 0..items {
        index.add(item, &sketch(&key, &prose(u64::from(item), bytes)));
    }
    (key, index)
}

#[divan::bench(args = [300, 3_000, 30_000])]
fn search_a_post_among_200_items(bencher: Bencher, bytes: usize) {
    let (key, index) = index_of(200, 4_000);
    let body = prose(9_999, bytes);
    let parts = ["title", "Weekly summary of the team", "body", &body];
    bencher.counter(BytesCount::of_str(&body)).bench(|| index.search(&key, black_box(&parts)));
}

#[divan::bench(args = [300, 3_000])]
fn search_base64_among_200_items(bencher: Bencher, bytes: usize) {
    let (key, index) = index_of(200, 4_000);
    let body = STANDARD.encode(prose(9_999, bytes));
    bencher.counter(BytesCount::of_str(&body)).bench(|| index.search(&key, black_box(&[body.as_str()])));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn search_1_mb_in_one_part(bencher: Bencher) {
    let (key, index) = index_of(20, 4_000);
    let body = prose(9_999, 1_000_000);
    bencher.counter(BytesCount::of_str(&body)).bench(|| index.search(&key, black_box(&[body.as_str()])));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn search_10_000_parts(bencher: Bencher) {
    let (key, index) = index_of(20, 4_000);
    let parts: Vec<String> = (0..10_000).map(|seed| prose(seed, 40)).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    bencher.bench(|| index.search(&key, black_box(&parts)));
}
