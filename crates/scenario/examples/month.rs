//! Plays a month of fifty agents, from several seeds: `cargo run -p scenario --example month -- [SEEDS] [--incidents] [--json]`.

use scenario::month::{Options, Outcomes, play};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let seeds: u64 = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(1);
    let incidents = args.iter().any(|arg| arg == "--incidents");
    for seed in 1..=seeds {
        let outcomes = play(&Options { incidents, ..Options::new(seed) });
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
