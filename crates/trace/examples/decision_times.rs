//! How long decisions take on the recorded runs of `bench/agentdojo`, with everything that was read before. Every run is judged several times, and
//! the shortest time of each decision counts: a decision is a computation without chance, and what another process takes is not its cost.
//!
//! `cargo run --release -p trace --example decision_times [TIMES]`

use std::path::Path;
use std::time::Instant;

use contract::Contracts;
use judge::policy::PolicySources;
use trace::format::parse;
use trace::run::{Judge, Judged};
use trace::{Figures, Toolbox};

fn main() {
    let times: usize = std::env::args().nth(1).and_then(|times| times.parse().ok()).unwrap_or(5).max(1);
    let bench = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/agentdojo");
    let begun = Instant::now();
    let stopwatch = || begun.elapsed();
    for suite in ["banking", "slack", "travel", "workspace"] {
        let read = |path: &str| std::fs::read_to_string(bench.join(path)).unwrap_or_default();
        let contracts = Contracts::parse(suite, &read(&format!("contracts/{suite}.toml"))).expect("a contract");
        let toolbox = Toolbox::new(vec![contracts], Vec::new());
        let (world, _) = scenario::parse_world(suite, &read(&format!("worlds/{suite}.yaml"))).expect("a world");
        let judge = Judge::new(&toolbox, world, PolicySources::shipped(), &stopwatch).expect("a world with its agent");
        for kind in ["benign", "attacked"] {
            let traces = parse(&read(&format!("data/{suite}/{kind}.jsonl"))).expect("traces");
            let all = || -> Vec<Judged> {
                traces.iter().map(|trace| judge.judge(trace).expect("tools with one meaning each")).collect()
            };
            let mut shortest = all();
            for _ in 1..times {
                shorten(&mut shortest, &all());
            }
            let decisions = Figures::of(&shortest).decisions;
            if decisions.count > 0 {
                let us = |ns: u64| ns as f64 / 1000.0;
                println!(
                    "{suite:10} {kind:9} {:5} decisions: half within {:6.1} µs, 99 of 100 within {:6.1} µs, the longest {:6.1} µs",
                    decisions.count,
                    us(decisions.p50_ns),
                    us(decisions.p99_ns),
                    us(decisions.max_ns)
                );
            }
        }
    }
}

fn shorten(shortest: &mut [Judged], again: &[Judged]) {
    for (trace, other) in shortest.iter_mut().zip(again) {
        for (step, other) in trace.steps.iter_mut().zip(&other.steps) {
            step.decision_ns = step.decision_ns.min(other.decision_ns);
        }
    }
}
