//! How long decisions take on the recorded runs of `bench/agentdojo`, with everything that was read before: every run, several times.
//!
//! `cargo run --release -p trace --example decision_times [TIMES [norms]]`; with `norms`, what each norm did is told as well.

use std::path::Path;
use std::time::Instant;

use contract::Contracts;
use judge::policy::PolicySources;
use trace::format::parse;
use trace::run::{Judge, Judged};
use trace::{Figures, Toolbox};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let times: usize = arguments.next().and_then(|times| times.parse().ok()).unwrap_or(5);
    let tells_norms = arguments.next().is_some_and(|word| word == "norms");
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
            let all = || traces.iter().map(|trace| judge.judge(trace).expect("tools with one meaning each"));
            let judged: Vec<Judged> = (0..times).flat_map(|_| all()).collect();
            let figures = Figures::of(&judged);
            let us = |ns: u64| ns as f64 / 1000.0;
            let decisions = figures.decisions;
            println!(
                "{suite:10} {kind:9} {:6} decisions: p50 {:7.1} µs, p99 {:7.1} µs, max {:7.1} µs",
                decisions.count,
                us(decisions.p50_ns),
                us(decisions.p99_ns),
                us(decisions.max_ns)
            );
            if tells_norms {
                let once = Figures::of(&judged[..traces.len()]);
                println!("  {:?}\n  {:?}\n  {:?}", once.benign, once.attacked, once.norms);
                for trace in judged[..traces.len()].iter().filter(|trace| !trace.attacked) {
                    for step in trace.steps.iter().filter(|step| step.is_prompt() || !step.withheld.is_empty()) {
                        let why: Vec<String> =
                            step.reasons.iter().map(|reason| format!("{}: {}", reason.ground.word(), reason.sentence)).collect();
                        println!("  {} {} {} {:?} {why:?} {:?}", trace.id, step.number, step.tool, step.answer, step.withheld);
                    }
                }
            }
        }
    }
}
