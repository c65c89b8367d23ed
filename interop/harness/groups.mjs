// The groups of checks: who talks to whom. Each group runs its checks directly and through the gateway and hands back both lists.
// It refuses to compare them and to print.

import { mkdtemp, readdir, readFile, rm, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { freePort, runToEnd, startServer } from "./children.mjs";
import { forward } from "./forward.mjs";
import { PREFIXES, standsBefore, startGateway, wrap } from "./gateway.mjs";
import * as places from "./places.mjs";
import { agree } from "./person.mjs";
import { startAuthority, startDirectory } from "./prudence.mjs";
import { refusals, seen } from "./raw.mjs";

const REVISIONS = ["2025-11-25", "2026-07-28"];
const SUITE_MS_MAX = 90_000;
/** Of one scenario, as the suite is told; a gateway that hangs fails a scenario, not the run. */
const SUITE_STEP_MS = "8000";
const SCENARIO_MS_MAX = 30_000;
const CLIENT_MS_MAX = 90_000;
/** Client scenarios at a time: each starts a server, a gateway and a client of its own. */
const SCENARIOS_AT_ONCE = 2;
const REFUSED_TOOL = "test_image_content";
/** What server-everything has that a task does not name at first: the contract says that it runs programs. */
const GRAVE_TOOL = "get-sum";

/**
 * @typedef {{name: string, run: (context: Context) => Promise<{direct: Check[], through: Check[], throughOnly?: Set<string>, skipped?: string, known?: string[]}>}} Group
 * `known` says what differs on purpose or is not compared, and why; the run prints it.
 * @returns {Group[]}
 */
export function groups() {
  return [
    ...REVISIONS.map((revision) => ({ name: `conformance-server-${revision}`, run: (context) => suiteAsClient(context, revision) })),
    ...REVISIONS.map((revision) => ({ name: `conformance-client-${revision}`, run: (context) => suiteAsServer(context, revision) })),
    sdk("typescript-everything-http-legacy", "typescript", "everything", "legacy", everythingHttp),
    sdk("typescript-everything-http-auto", "typescript", "everything", "auto", everythingHttp),
    sdk("typescript-everything-stdio", "typescript", "everything", "legacy", everythingStdio),
    sdk("typescript-filesystem-stdio", "typescript", "filesystem", "legacy", filesystemStdio),
    sdk("typescript-suite-server-auto", "typescript", "suite", "auto", suiteServer),
    sdk("python-everything-http-legacy", "python", "everything", "legacy", everythingHttp),
    sdk("python-everything-stdio", "python", "everything", "auto", everythingStdio),
    sdk("python-suite-server-auto", "python", "suite", "auto", suiteServer),
    wrapped("wrapped-everything-typescript", "typescript", "everything", "legacy", everythingStdio),
    wrapped("wrapped-filesystem-typescript", "typescript", "filesystem", "auto", filesystemStdio),
    wrapped("wrapped-everything-python", "python", "everything", "auto", everythingStdio),
    framework("pydantic-ai"),
    framework("openai-agents"),
    several("several-servers-legacy", "legacy", [["everything", everythingHttp], ["filesystem", filesystemStdio]], []),
    several("several-servers-auto", "auto", [["suite", suiteServer], ["suite", suiteServer]], ["resources", "resource-templates"]),
    { name: "scim-tester", run: scimTester },
    { name: "conformance-authorization", run: suiteAsPerson },
    ...["typescript-sdk-dpop", "typescript-sdk-registers-itself", "openid-client", "oauth4webapi"].map((client) => logsIn(client, places.node, places.oauthClients)),
    logsIn("openid-client-mutual-tls", places.node, places.oauthClients, { tls: true }),
    logsIn("authlib-mutual-tls", places.python, places.oauthClientsPython, { tls: true }),
    ...["python-sdk", "authlib"].map((client) => logsIn(client, places.python, places.oauthClientsPython)),
    { name: "what-the-upstream-sees", run: (context) => behindATap(context, seen) },
    { name: "what-the-gateway-refuses", run: async (context) => (context.choice.bin ? { ...(await behindATap(context, refusals)), known: [OF_NUMBERS] } : decidesNothing()) },
  ];
}

// Upstreams. Each is started for one run and stopped after it, so that no run sees what another left behind.

async function suiteServer() {
  const port = await freePort();
  const args = ["-m", "mcp_everything_server", "--port", String(port), "--log-level", "CRITICAL"];
  const server = await startServer(places.python, args, { port, cwd: places.suiteServerFolder });
  return { target: { url: `http://localhost:${port}/mcp` }, stop: server.stop };
}

async function everythingHttp() {
  const port = await freePort();
  const server = await startServer(places.node, [places.everythingServer, "streamableHttp"], { port, env: { PORT: String(port) } });
  return { target: { url: `http://localhost:${port}/mcp` }, stop: server.stop };
}

async function everythingStdio() {
  return { target: { command: places.node, args: [places.everythingServer, "stdio"] }, stop: async () => {} };
}

async function filesystemStdio(context) {
  // The same path both times, because results name it.
  const folder = join(context.work, "files");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  return { target: { command: places.node, args: [places.filesystemServer, folder] }, folder, stop: async () => {} };
}

// SDK clients.

function sdk(name, language, upstream, era, startUpstream) {
  return {
    name,
    run: (context) =>
      bothWays(context, startUpstream, async (target, { folder }) => {
        return client(language, { upstream, era, target, folder });
      }),
  };
}

const RECORDED = "calls-are-in-the-ledger";

/** A client that starts its server itself, and starts the gateway in its place: standard streams on both sides. */
function wrapped(name, language, upstream, era, startUpstream) {
  return {
    name,
    run: async (context) => {
      if (!context.choice.bin) return { direct: [], through: [], skipped: "the stand-in speaks HTTP only" };
      const { target, folder } = await startUpstream(context);
      const direct = await client(language, { upstream, era, target, folder });
      await startUpstream(context);
      const gateway = await wrap(context.choice, target);
      try {
        const front = { command: gateway.command, args: gateway.args };
        const through = await client(language, { upstream, era, target: front, folder });
        // Nothing that the client sees tells a gateway from no gateway; the ledger does.
        const calls = through.filter(({ id, passed }) => passed && id.startsWith("call-")).length;
        const permits = await gateway.permits();
        const passed = permits >= Math.max(calls, 1);
        through.push({ id: RECORDED, passed, detail: passed ? undefined : `${calls} calls, ${permits} permits in the ledger` });
        return { direct, through, throughOnly: new Set([RECORDED]) };
      } finally {
        await gateway.stop();
      }
    },
  };
}

async function client(language, job) {
  const [command, script] = language === "python" ? [places.python, places.pythonClient] : [places.node, places.typescriptClient];
  return lines(await runToEnd(command, [script, JSON.stringify(job)], { msMax: CLIENT_MS_MAX }));
}

/** Where several servers share an address, these answers are the address's own. */
const GATEWAYS_OWN = ["connected", "server-described", "resource-read-missing"];
const OF_SEVERAL = `several servers behind one address: not compared are ${GATEWAYS_OWN.join(", ")}, which the gateway answers for all of them`;
const OF_TWINS = "several servers with the same resources: their lists are not compared, because the gateway shows each URI once, as the first server's";
const OF_STARTUP = "serve looks at the lists of each upstream with a contract when it starts, as a 2025-11-25 client; a server that judges every request sees that look";
const OF_NUMBERS = "whole numbers beyond ±(2^53 - 1) in a call are refused, because readers of JSON disagree about them (RFC 7493 §2.2)";

const OF_OWNERS = "agents that scim-tester gives a random text as owner are refused, because somebody answers for an agent; those parts of its checks say nothing";

/** Two servers behind one gateway: whatever can be done with each alone can be done with it there, under prefixed names, `except` lists of what both have. */
function several(name, era, parts, except) {
  const drive = async (targets, folders, prefixes) => {
    const checks = [];
    for (const [index, [upstream]] of parts.entries()) {
      const job = { upstream, era, target: targets[index], folder: folders[index], prefix: prefixes[index] };
      for (const check of await client("typescript", job)) {
        if (![...GATEWAYS_OWN, ...except].includes(check.id)) checks.push({ ...check, id: `${PREFIXES[index]}${check.id}` });
      }
    }
    return checks;
  };
  return {
    name,
    run: async (context) => {
      if (!standsBefore(context.choice, parts)) return { direct: [], through: [], skipped: "the stand-in stands before one server" };
      const started = [];
      try {
        for (const [, start] of parts) started.push(await start(context));
        const [targets, folders] = [started.map(({ target }) => target), started.map(({ folder }) => folder)];
        const direct = await drive(targets, folders, ["", ""]);
        const gateway = await startGateway(context.choice, targets);
        try {
          const front = { url: gateway.url, headers: gateway.headers };
          const known = except.length > 0 ? [OF_SEVERAL, OF_TWINS] : [OF_SEVERAL];
          return { direct, through: await drive([front, front], folders, PREFIXES), known };
        } finally {
          await gateway.stop();
        }
      } finally {
        for (const { stop } of started) await stop();
      }
    },
  };
}

function framework(name) {
  return {
    name: `framework-${name}`,
    run: async (context) => {
      const results = await bothWays(
        context,
        suiteServer,
        async (target, _, gateway) => {
          const refused = gateway ? { tool: REFUSED_TOOL, text: gateway.refusalText } : null;
          const job = JSON.stringify({ framework: name, target, refused });
          return lines(await runToEnd(places.python, [places.frameworks, job], { msMax: CLIENT_MS_MAX }));
        },
        { refusedTool: REFUSED_TOOL },
      );
      return { ...results, throughOnly: new Set(["refusal-reaches-the-model-as-text"]) };
    },
  };
}

/** There is no other side to compare with: every check of the tester has to pass. */
async function scimTester({ choice }) {
  if (!choice.bin) return { direct: [], through: [], skipped: "the stand-in has no directory" };
  const { stop, ...service } = await startDirectory(choice.bin);
  try {
    const through = lines(await runToEnd(places.python, [places.scimClient, JSON.stringify(service)], { msMax: CLIENT_MS_MAX }));
    return { direct: [], through, throughOnly: new Set(through.map(({ id }) => id)), known: [OF_OWNERS] };
  } finally {
    await stop();
  }
}

/** The suite as a client of the authorization server. It waits for a person with a browser, who is played here. */
async function suiteAsPerson({ choice }) {
  if (!choice.bin) return { direct: [], through: [], skipped: "the stand-in issues no tokens" };
  const { url, issuer, person, stop } = await startAuthority(choice.bin, { command: places.node, args: [places.everythingServer, "stdio"] });
  try {
    let answered;
    const onOutput = (said) => {
      const authorize = said.match(/http:\S+\/oauth\/authorize\?\S+/)?.[0];
      if (authorize && !answered) answered = agree(authorize, person).then(({ back }) => fetch(back)).catch(() => {});
    };
    const args = ["authorization", "--url", issuer, "--client-id", "desk", "--resource", url, "--port", String(await freePort())];
    const through = await withResults((folder) => runToEnd(places.node, [places.suite, ...args, "--output-dir", folder], { msMax: SUITE_MS_MAX, onOutput }));
    return { direct: [], through, throughOnly: new Set(through.map(({ id }) => id)) };
  } finally {
    await stop();
  }
}

/** A client that nobody here wrote logs in: there is no other side to compare with. */
function logsIn(client, command, script, how) {
  return {
    name: `oauth-${client}`,
    run: async (context) => {
      if (!context.choice.bin) return { direct: [], through: [], skipped: "the stand-in issues no tokens" };
      const upstream = await everythingHttp();
      try {
        const { stop, ...authority } = await startAuthority(context.choice.bin, upstream.target, GRAVE_TOOL, how);
        try {
          const job = JSON.stringify({ client, graveTool: GRAVE_TOOL, ...authority });
          const through = lines(await runToEnd(command, [script, job], { msMax: CLIENT_MS_MAX }));
          return { direct: [], through, throughOnly: new Set(through.map(({ id }) => id)) };
        } finally {
          await stop();
        }
      } finally {
        await upstream.stop();
      }
    },
  };
}

async function bothWays(context, startUpstream, drive, rules) {
  const first = await startUpstream(context);
  const direct = await drive(first.target, first, null).finally(first.stop);
  if (!standsBefore(context.choice, [first.target])) return { direct, through: [], skipped: "the stand-in speaks HTTP only" };
  const second = await startUpstream(context);
  try {
    const gateway = await startGateway(context.choice, [second.target], rules);
    try {
      return { direct, through: await drive({ url: gateway.url, headers: gateway.headers }, second, gateway) };
    } finally {
      await gateway.stop();
    }
  } finally {
    await second.stop();
  }
}

function lines({ stdout, stderr, code, late }) {
  const checks = stdout.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const ended = !late && code === 0;
  const detail = late ? `still running after ${CLIENT_MS_MAX} ms` : stderr.trim().split("\n").slice(-3).join(" ").slice(0, 300);
  return [...checks, { id: "ended-by-itself", passed: ended, detail }];
}

// The conformance suite.

async function suiteAsClient(context, revision) {
  const run = (url) => withResults((folder) =>
    runToEnd(places.node, [places.suite, "server", "--url", url, "--requirements", revision, "--timeout", SUITE_STEP_MS, "--output-dir", folder], {
      msMax: SUITE_MS_MAX,
    }));
  return bothWays(context, suiteServer, async (target) => {
    if (!target.headers) return run(target.url);
    // The suite sends no credentials of its own.
    const front = await forward({ target: target.url, headers: target.headers });
    return run(front.url).finally(front.close);
  });
}

async function suiteAsServer(context, revision) {
  const listed = await runToEnd(places.node, [places.suite, "list", "--requirements", revision], { msMax: SCENARIO_MS_MAX });
  const scenarios = clientScenarios(listed.stdout);
  const run = async (command, env) => {
    const found = await inParallel(scenarios, SCENARIOS_AT_ONCE, (scenario) =>
      withResults((folder) =>
        runToEnd(places.node, [places.suite, "client", "--command", command, "--scenario", scenario, "--spec-version", revision, "--output-dir", folder], {
          msMax: SCENARIO_MS_MAX,
          env,
        })));
    return found.flat();
  };
  const direct = await run(`${places.python} ${places.suiteClient}`);
  const through = await run(`${places.node} ${places.throughGateway}`, { INTEROP_GATEWAY: JSON.stringify(context.choice) });
  return { direct, through, known: revision === "2026-07-28" ? [OF_STARTUP] : [] };
}

/**
 * The client scenarios of a revision, without those of `auth/`: they are about the conversation between a client and the
 * authorization server of the resource it calls. Behind a gateway these are two conversations, and the suite sees neither.
 */
function clientScenarios(listing) {
  const required = listing.split("Client scenarios")[1] ?? "";
  const names = [...required.matchAll(/^\s+- (\S+)(?: \[(client|server)\])?$/gm)];
  return names.filter(([, name, side]) => side !== "server" && !name.startsWith("auth/")).map(([, name]) => name);
}

async function withResults(run) {
  const folder = await mkdtemp(join(tmpdir(), "interop-"));
  try {
    const { late, stdout, stderr } = await run(folder);
    const checks = [];
    for (const scenario of (await readdir(folder)).sort()) {
      const results = JSON.parse(await readFile(join(folder, scenario, "checks.json"), "utf8").catch(() => "[]"));
      for (const { id, description, status, errorMessage } of results) {
        // INFO is the suite's diary, SKIPPED its own word that nothing was tried.
        if (status === "INFO" || status === "SKIPPED") continue;
        checks.push({ id: `${withoutTime(scenario)}: ${id} (${description})`, passed: status === "SUCCESS", detail: errorMessage });
      }
    }
    if (late || checks.length === 0) {
      checks.push({ id: "the suite ran to its end", passed: false, detail: (stderr || stdout).trim().slice(-300) });
    }
    return checks;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function withoutTime(folder) {
  return folder.replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, "").replace(/^server-/, "");
}

async function inParallel(items, width, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

// Raw requests, with a tap between the gateway and the server behind it.

async function behindATap(context, findFacts) {
  const upstream = await everythingHttp();
  const exchanges = [];
  const tap = await forward({ target: upstream.target.url, onExchange: (exchange) => exchanges.push(exchange) });
  try {
    const gateway = await startGateway(context.choice, [{ url: tap.url }]);
    try {
      const through = await findFacts(gateway, exchanges);
      return { direct: [], through, throughOnly: new Set(through.map(({ id }) => id)) };
    } finally {
      await gateway.stop();
    }
  } finally {
    await tap.close();
    await upstream.stop();
  }
}

function decidesNothing() {
  return { direct: [], through: [], skipped: "the stand-in decides nothing" };
}
