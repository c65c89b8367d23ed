// Runs the groups, says one line for each, the differences at the end, and the closing count.
// usage: see ../run

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { compare } from "./compare.mjs";
import { FAULTS } from "./forward.mjs";
import { groups } from "./groups.mjs";

const RUN_MS_MAX = 15 * 60_000;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    gateway: { type: "string" },
    fault: { type: "string" },
    "self-check": { type: "boolean", default: false },
  },
});
setTimeout(() => {
  console.error(`interop: still running after ${RUN_MS_MAX / 60_000} minutes, giving up`);
  process.exit(1);
}, RUN_MS_MAX).unref();

const chosen = groups().filter(({ name }) => options.only.length === 0 || options.only.some((part) => name.includes(part)));
if (chosen.length === 0) {
  console.error(`interop: no group named \`${options.only.join("`, `")}\`; there are:\n  ${groups().map(({ name }) => name).join("\n  ")}`);
  process.exit(2);
}
const work = await mkdtemp(join(tmpdir(), "interop-work-"));
const ok = options["self-check"] ? await selfCheck() : await judge({ bin: options.gateway && resolve(options.gateway), fault: options.fault });
await rm(work, { recursive: true, force: true });
process.exit(ok ? 0 : 1);

async function judge(choice) {
  console.log(choice.bin ? `through ${options.gateway}` : "through the forwarding stand-in: this proves the harness, not the gateway");
  const { kept, lost, known } = await runAll(chosen, choice, true);
  if (known.size > 0) console.log(["\nknown differences:", ...known].join("\n  "));
  if (lost.length > 0) {
    console.log("\npasses directly, not through the gateway:");
    for (const { group, id, why } of lost) console.log(`  ${group}\n    ${id}\n      ${why}`);
  }
  console.log(`\n${kept} passed, ${lost.length} failed`);
  return lost.length === 0;
}

/** A harness that cannot fail proves nothing: each fault must cost a check of its group and leave others standing. */
async function selfCheck() {
  let [noticed, missed] = [0, 0];
  for (const [fault, name] of Object.entries(FAULTS)) {
    const { kept, lost } = await runAll(groups().filter((group) => group.name === name), { fault }, false);
    if (kept > 0 && lost.length > 0) noticed++;
    else missed++;
    const words = lost.length === 0 ? "NOT NOTICED" : kept === 0 ? "NOTHING WORKED" : `noticed by ${lost.length} of ${kept + lost.length} checks`;
    console.log(`${fault.padEnd(24)} ${name.padEnd(36)} ${words}`);
  }
  console.log(`\n${noticed} passed, ${missed} failed`);
  return missed === 0;
}

async function runAll(some, choice, aloud) {
  const all = { kept: 0, lost: [], known: new Set() };
  for (const { name, run } of some) {
    const began = Date.now();
    const { kept, lost, known = [], words } = await runOne(run, { choice, work });
    all.kept += kept;
    for (const sentence of known) all.known.add(sentence);
    all.lost.push(...lost.map((difference) => ({ group: name, ...difference })));
    const seconds = ((Date.now() - began) / 1000).toFixed(1).padStart(5);
    if (aloud) console.log(`${name.padEnd(36)} ${words} ${seconds} s`);
  }
  return all;
}

async function runOne(run, context) {
  try {
    const { direct, through, throughOnly, skipped, known } = await run(context);
    if (skipped) return { kept: 0, lost: [], words: `not run: ${skipped}` };
    const { kept, notJudged, lost } = compare(direct, through, throughOnly);
    // Nothing to compare is a broken group, not a clean one.
    if (kept + lost.length === 0) lost.push({ id: "the group has checks that pass directly", why: failures(direct) });
    const words = `${String(kept).padStart(4)} kept ${String(lost.length).padStart(4)} lost ${String(notJudged).padStart(4)} fail directly`;
    return { kept, lost, known, words };
  } catch (error) {
    return { kept: 0, lost: [{ id: "the group runs", why: error.message }], words: "could not run" };
  }
}

function failures(checks) {
  return checks.filter(({ passed }) => !passed).map(({ id, detail }) => `${id}: ${detail}`).join("; ").slice(0, 300) || "no checks at all";
}
