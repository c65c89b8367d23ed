//! Plays a month of fifty agents, from several seeds: `cargo run -p scenario --example month -- [SEEDS] [--from SEED] [--incidents] [--norms FILE] [--json]`.
//!
//! `FILE` holds breakers that are in force instead of the shipped ones.

use judge::policy::Source;
use scenario::month::{Options, Outcomes, play};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seeds: u64 = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let value = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1);
    let from: u64 = value("--from").map_or(1, |seed| seed.parse().expect("a seed is a whole number"));
    let norms = value("--norms").map(|file| std::fs::read_to_string(file).expect("the file can be read"));
    let incidents = args.iter().any(|arg| arg == "--incidents");
    for seed in from..from + seeds {
        let mut options = Options { incidents, ..Options::new(seed) };
        if let Some(text) = &norms {
            options.policies.norms = vec![Source { name: "tempo.cedar".to_owned(), text: text.clone() }];
        }
        let outcomes = play(&options);
        if args.iter().any(|arg| arg == "--json") {
            println!("{}", serde_json::to_string(&outcomes).expect("plain data"));
        } else {
            tell(&outcomes);
        }
    }
}

fn tell(outcomes: &Outcomes) {
    let Outcomes { seed, ordinary_calls, ordinary_refused, false_alarms, beside, incidents } = outcomes;
    println!(
        "seed {seed}: {ordinary_calls} calls of ordinary work, {ordinary_refused} refused, {} false alarms",
        false_alarms.len()
    );
    for trip in false_alarms {
        println!("  false alarm on day {} at {}h, {}: {}", trip.day, trip.hour, trip.agent, trip.sentence);
    }
    for trip in beside {
        println!("  beside an incident on day {} at {}h, {}: {}", trip.day, trip.hour, trip.agent, trip.sentence);
    }
    for one in incidents {
        let beyond = if one.is_beyond { " (beyond)" } else { "" };
        match one.after_ms {
            Some(ms) => println!(
                "  {}{beyond}: found after {} s, {} of {} lost: {}",
                one.name,
                ms / 1_000,
                one.lost,
                one.wanted,
                one.sentence
            ),
            None => println!("  {}{beyond}: NOT FOUND, {} of {} lost", one.name, one.lost, one.wanted),
        }
    }
}
