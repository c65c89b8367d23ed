// Two runs of the same checks side by side. A check that passes directly must pass through, with the same value.
// It refuses to judge what fails directly: that is between the suite and its server.

/**
 * @typedef {{id: string, passed: boolean, value?: unknown, detail?: string}} Check
 * @param {Check[]} direct
 * @param {Check[]} through
 * @param {Set<string>} throughOnly ids that are expected behind a gateway and cannot pass without one
 * @returns {{kept: number, notJudged: number, lost: {id: string, why: string}[]}}
 */
export function compare(direct, through, throughOnly = new Set()) {
  const found = new Map(numbered(through));
  const lost = [];
  let kept = 0;
  let notJudged = 0;
  for (const [id, before] of numbered(direct)) {
    if (throughOnly.has(before.id)) continue;
    if (!before.passed) {
      notJudged++;
      continue;
    }
    const why = difference(before, found.get(id));
    if (why) lost.push({ id, why });
    else kept++;
  }
  for (const id of throughOnly) {
    const after = found.get(`${id}#1`);
    if (after?.passed) kept++;
    else lost.push({ id, why: after?.detail ?? "the check did not run" });
  }
  return { kept, notJudged, lost };
}

function difference(before, after) {
  if (!after) return "the check did not run";
  if (!after.passed) return after.detail ?? "failed";
  const [a, b] = [canonical(before.value), canonical(after.value)];
  if (a === b) return null;
  let at = 0;
  while (a[at] === b[at]) at++;
  const around = (text) => text.slice(Math.max(0, at - 30), at + 50);
  return `expected …${around(a)}… found …${around(b)}…`;
}

/** Suites emit one check several times; the nth of one run is compared with the nth of the other. */
function numbered(checks) {
  const counts = new Map();
  return checks.map((check) => {
    const count = (counts.get(check.id) ?? 0) + 1;
    counts.set(check.id, count);
    return [`${check.id}#${count}`, check];
  });
}

function canonical(value) {
  return JSON.stringify(value ?? null, (_, inner) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
