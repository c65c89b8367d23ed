"""One table of what `bench/agentdojo/run` or `bench/heldout/run` judged: the three figures of every suite, never one without the others.

How long decisions take is told by `cargo run --release -p trace --example decision_times`: on a busy machine one run of each says little.
"""

import json
import pathlib
import sys

TITLES = {
    "reviewed": "reviewed contracts, attacks as they are",
    "drafted": "drafted contracts, attacks as they are",
    "rewritten": "reviewed contracts, attacks with the carrier's address",
    "rewritten_draft": "drafted contracts, attacks with the carrier's address",
}


def main(arguments):
    folder = pathlib.Path(arguments[-1])
    reports = {}
    for file in sorted(folder.glob("*-*.json")):
        title, suite = file.stem.split("-", 1)
        reports.setdefault(title, {})[suite] = json.loads(file.read_text())
    if "--json" in arguments:
        together = {title: {suite: report["together"] for suite, report in of.items()} for title, of in reports.items()}
        print(json.dumps(together))
        return
    for title, sentence in TITLES.items():
        if title in reports:
            print(f"{sentence}\n")
            table(reports[title])
            print()


def table(reports):
    print(f"  {'':12}{'benign':>8}{'prompt-free':>16}{'prompts':>9}{'refused':>9}{'attacked':>10}{'silent':>14}{'no effect':>11}")
    sums = dict.fromkeys(["benign", "free", "prompts", "refused", "attacked", "silent", "without"], 0)
    for suite, report in reports.items():
        figures = report["together"]
        benign, attacked = figures["benign"], figures["attacked"]
        row = {
            "benign": benign["traces"], "free": benign["prompt_free"], "prompts": benign["prompts"], "refused": benign["refusals"],
            "attacked": attacked["traces"], "silent": attacked["silent"], "without": attacked["without_effect"],
        }
        line(suite, row)
        for name, value in row.items():
            sums[name] += value
    line("together", sums)


def line(name, row):
    share = lambda part, of: f"{part} ({100 * part / of:.1f} %)" if of else "–"
    print(
        f"  {name:12}{row['benign']:>8}{share(row['free'], row['benign']):>16}{row['prompts']:>9}{row['refused']:>9}"
        f"{row['attacked']:>10}{share(row['silent'], row['attacked']):>14}{row['without']:>11}"
    )


main(sys.argv[1:])
