// The official TypeScript client driven through everything it can do, one check a line on standard output.
// Run once straight at a server and once through the gateway, with the same checks: a check's value must be the same both times.
//
// usage: node typescript-client.mjs '{"upstream": "everything"|"filesystem"|"suite", "era": "legacy"|"auto", "target": {…}, "prefix": "…"}'
// target: {"url", "headers"} or {"command", "args"}. With a prefix, names of tools and prompts carry it and are reported without.
// It refuses to know which of the two sides it is on.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const STEP_MS_MAX = 8_000;
const { upstream, era, target, folder, prefix = "" } = JSON.parse(process.argv[2]);

const seen = { logs: [], updates: [], listChanges: 0 };
const client = new Client(
  { name: "interop-typescript", version: "1.0.0" },
  {
    capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } },
    ...(era === "auto" ? { versionNegotiation: { mode: "auto" } } : {}),
  },
);
client.setRequestHandler("sampling/createMessage", async (request) => ({
  role: "assistant",
  model: "scripted",
  content: { type: "text", text: `sampled: ${JSON.stringify(request.params.messages)}` },
}));
client.setRequestHandler("elicitation/create", async (request) => ({
  action: "accept",
  ...(request.params.mode === "url" ? {} : { content: answers(request.params.requestedSchema) }),
}));
client.setRequestHandler("roots/list", async () => ({ roots: [{ uri: "file:///interop", name: "interop" }] }));
client.setNotificationHandler("notifications/message", async (note) => void seen.logs.push(note.params));
client.setNotificationHandler("notifications/resources/updated", async (note) => void seen.updates.push(note.params.uri));
client.setNotificationHandler("notifications/tools/list_changed", async () => void seen.listChanges++);

const transport = target.url
  ? new StreamableHTTPClientTransport(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
  : new StdioClientTransport({ command: target.command, args: target.args, stderr: "ignore" });

const checks = {
  everything: {
    "server-described": () => describe(),
    "tools-listed": async () => {
      // This server adds tools once it has learned what the client can do.
      const tools = await until(async () => {
        const listed = own((await client.listTools()).tools);
        return listed.some((tool) => tool.name === "trigger-sampling-request") && listed;
      });
      return sorted(tools);
    },
    "call-text": () => call("echo", { message: "zwölf Boxkämpfer \u2028 \"quoted\" \\ \u{1F510}" }),
    "call-numbers": () => call("get-sum", { a: 0.5, b: 9007199254740990 }),
    "call-image": () => call("get-tiny-image", {}),
    "call-structured": () => call("get-structured-content", { location: "New York" }),
    "call-annotated": () => call("get-annotated-message", { messageType: "error", includeImage: true }),
    "call-resource-links": () => call("get-resource-links", { count: 3 }),
    "call-embedded-resource": async () => timeless(await call("get-resource-reference", { resourceType: "Text", resourceId: 1 })),
    "call-bad-arguments": () => call("get-sum", { a: "not a number" }),
    "call-unknown-tool-refused": () => refused(call("no-such-tool", {})),
    progress: async () => {
      const steps = [];
      const result = await call("trigger-long-running-operation", { duration: 0.4, steps: 4 }, { onprogress: (p) => steps.push(p) });
      return { steps: allButTheLast(steps, 4), result };
    },
    "progress-comes-before-the-result": async () => {
      const moments = [];
      await call("trigger-long-running-operation", { duration: 0.9, steps: 3 }, { onprogress: () => moments.push(Date.now()) });
      const ended = Date.now();
      // The server leaves 300 ms between steps; whoever holds them back delivers them together at the end.
      if (!(ended - moments[0] > 300)) throw new Error(`the first step was told ${ended - moments[0]} ms before the end, expected over 300`);
      return "in time";
    },
    cancellation: async () => {
      const stop = new AbortController();
      const running = call("trigger-long-running-operation", { duration: 20, steps: 100 }, { signal: stop.signal, onprogress: () => stop.abort("enough") });
      const outcome = await running.then(() => "finished", () => "cancelled");
      return { outcome, after: await call("echo", { message: "still here" }) };
    },
    sampling: () => call("trigger-sampling-request", { prompt: "say it", maxTokens: 7 }),
    elicitation: () => call("trigger-elicitation-request", {}),
    "elicitation-url": () => call("trigger-url-elicitation", { url: "https://example.com/consent", message: "consent", elicitationId: "fixed" }),
    roots: () => call("get-roots-list", {}),
    "two-calls-at-once": async () => {
      const slow = call("trigger-long-running-operation", { duration: 0.6, steps: 2 });
      const fast = await Promise.race([call("echo", { message: "first" }), slow]);
      return { fast, slow: await slow };
    },
    resources: async () => sorted((await client.listResources()).resources),
    "resource-templates": async () => sorted((await client.listResourceTemplates()).resourceTemplates),
    "resource-read-text": async () => client.readResource({ uri: "demo://resource/static/document/features.md" }),
    "resource-read-blob": async () => timeless(await client.readResource({ uri: "demo://resource/dynamic/blob/1" })),
    "resource-read-missing": () => failure(client.readResource({ uri: "demo://resource/nowhere" })),
    "resource-updates": async () => {
      const uri = "demo://resource/dynamic/text/1";
      await client.subscribeResource({ uri });
      await call("toggle-subscriber-updates", {});
      await until(() => seen.updates.length > 0);
      await call("toggle-subscriber-updates", {});
      await client.unsubscribeResource({ uri });
      return seen.updates[0];
    },
    prompts: async () => sorted(own((await client.listPrompts()).prompts)),
    "prompt-with-arguments": () => client.getPrompt({ name: named("args-prompt"), arguments: { city: "Köln", state: "NW" } }),
    "prompt-with-resource": async () => timeless(await client.getPrompt({ name: named("resource-prompt"), arguments: { resourceType: "Text", resourceId: "1" } })),
    "completion-of-prompt": () =>
      client.complete({ ref: { type: "ref/prompt", name: named("completable-prompt") }, argument: { name: "name", value: "" }, context: { arguments: { department: "Sales" } } }),
    "completion-of-resource": () =>
      client.complete({ ref: { type: "ref/resource", uri: "demo://resource/dynamic/text/{resourceId}" }, argument: { name: "resourceId", value: "1" } }),
    logging: async () => {
      await client.setLoggingLevel("debug");
      seen.logs.length = 0;
      await call("toggle-simulated-logging", {});
      await until(() => seen.logs.length > 0);
      await call("toggle-simulated-logging", {});
      return typeof seen.logs[0].level;
    },
    ping: () => client.ping(),
  },
  filesystem: {
    "server-described": () => describe(),
    "tools-listed": async () => sorted(own((await client.listTools()).tools)),
    "call-write": () => call("write_file", { path: `${folder}/note.txt`, content: "line one\nZeile zwei\n" }),
    "call-read": () => call("read_text_file", { path: `${folder}/note.txt` }),
    "call-list": async () => {
      await call("create_directory", { path: `${folder}/inner` });
      await call("write_file", { path: `${folder}/inner/one.txt`, content: "1" });
      return call("list_directory", { path: `${folder}/inner` });
    },
    "call-edit": () => call("edit_file", { path: `${folder}/note.txt`, edits: [{ oldText: "line one", newText: "line 1" }] }),
    "call-read-many": () => call("read_multiple_files", { paths: [`${folder}/note.txt`, `${folder}/absent.txt`] }),
    "upstream-refusal-is-a-result": () => call("read_text_file", { path: "/etc/hostname" }),
    "big-result": async () => {
      await call("write_file", { path: `${folder}/big.txt`, content: "0123456789abcdef".repeat(32_768) });
      const result = await call("read_text_file", { path: `${folder}/big.txt` });
      return { characters: result.content[0].text.length, same: result.content[0].text === "0123456789abcdef".repeat(32_768) };
    },
  },
  suite: {
    "server-described": () => describe(),
    "tools-listed": async () => sorted(own((await client.listTools()).tools)),
    "call-text": () => call("test_simple_text", {}),
    "call-mixed": () => call("test_multiple_content_types", {}),
    "call-error": () => call("test_error_handling", {}),
    "call-header-argument": () => call("test_x_mcp_header", { region: "eu-Straße", query: "q" }),
    progress: async () => {
      const steps = [];
      const result = await call("test_tool_with_progress", {}, { onprogress: (p) => steps.push(p) });
      return { steps: allButTheLast(steps, 3), texts: result.content.length };
    },
    "input-elicitation": () => call("test_input_required_result_elicitation", {}),
    "input-sampling": () => call("test_input_required_result_sampling", {}),
    "input-roots": () => call("test_input_required_result_list_roots", {}),
    "input-state": () => call("test_input_required_result_request_state", {}),
    "input-many-rounds": () => call("test_input_required_result_multi_round", {}),
    "subscription-to-lists": async () => {
      const subscription = await client.listen({ toolsListChanged: true });
      await call("test_trigger_tool_change", {});
      await until(() => seen.listChanges > 0);
      await subscription.close();
      return "told";
    },
    resources: async () => sorted((await client.listResources()).resources),
    "resource-templates": async () => sorted((await client.listResourceTemplates()).resourceTemplates),
    "resource-read-text": () => client.readResource({ uri: "test://static-text" }),
    "resource-read-blob": () => client.readResource({ uri: "test://static-binary" }),
    "resource-read-template": () => client.readResource({ uri: "test://template/7/data" }),
    "resource-read-missing": () => failure(client.readResource({ uri: "test://nowhere" })),
    prompts: async () => sorted(own((await client.listPrompts()).prompts)),
    "prompt-with-arguments": () => client.getPrompt({ name: named("test_prompt_with_arguments"), arguments: { arg1: "a", arg2: "ß" } }),
    "prompt-needing-input": () => client.getPrompt({ name: named("test_input_required_result_prompt") }),
    completion: () => client.complete({ ref: { type: "ref/prompt", name: named("test_prompt_with_arguments") }, argument: { name: "arg1", value: "x" } }),
  },
};

await report("connected", async () => {
  await client.connect(transport, { timeout: STEP_MS_MAX });
  return client.getNegotiatedProtocolVersion();
});
for (const [id, check] of Object.entries(checks[upstream])) await report(id, check);
await report("closed", () => client.close());
process.exit(0);

async function report(id, check) {
  let line;
  try {
    const value = await bounded(check());
    line = { id, passed: true, value: value ?? null };
  } catch (error) {
    line = { id, passed: false, detail: String(error?.message ?? error).slice(0, 300) };
  }
  process.stdout.write(JSON.stringify(line) + "\n");
}

function named(name) {
  return prefix + name;
}

/** The list's entries that carry the prefix, without it. */
function own(list) {
  return list.filter(({ name }) => name.startsWith(prefix)).map((entry) => ({ ...entry, name: entry.name.slice(prefix.length) }));
}

function call(name, args, options = {}) {
  return client.callTool({ name: named(name), arguments: args }, { timeout: STEP_MS_MAX, ...options });
}

function describe() {
  // Several servers behind one address are described by the address.
  if (prefix) return null;
  return { server: client.getServerVersion(), capabilities: client.getServerCapabilities(), instructions: client.getInstructions() ?? null };
}

function answers(schema) {
  const content = {};
  for (const [name, property] of Object.entries(schema.properties)) {
    if (property.default !== undefined) content[name] = property.default;
    else if (property.enum) content[name] = property.enum[0];
    else if (property.oneOf) content[name] = property.oneOf[0].const;
    else if (property.type === "boolean") content[name] = true;
    else if (property.type === "integer" || property.type === "number") content[name] = property.minimum ?? 1;
    else if (property.type === "string" && !property.format) content[name] = "Ada";
  }
  return content;
}

/** The client drops a step that arrives in one gulp with the result, so the last one may be missing and says nothing. */
function allButTheLast(steps, count) {
  if (steps.length < count - 1) throw new Error(`expected ${count} steps, found ${steps.length}`);
  return steps.slice(0, count - 1);
}

/** Refused one way or the other: the wording is the refuser's, the refusal must be certain. */
async function refused(calling) {
  const refusal = await calling.then((result) => result.isError === true, () => true);
  if (!refusal) throw new Error("expected a refusal, found a result");
  return "refused";
}

/** The error itself, which must come through as it was. */
async function failure(calling) {
  return calling.then(
    () => Promise.reject(new Error("expected an error, found a result")),
    (error) => ({ code: error.code, message: error.message }),
  );
}

function sorted(list) {
  return [...list].sort((a, b) => ((a.name ?? a.uri) < (b.name ?? b.uri) ? -1 : 1));
}

/** Some results tell the time of day, in text or in base64; it is the one thing that may differ. */
function timeless(value) {
  const clock = /\d{1,2}:\d{2}:\d{2}( [AP]M)?/g;
  return JSON.parse(JSON.stringify(value), (key, inner) => {
    if (key === "blob") return Buffer.from(inner, "base64").toString().replace(clock, "TIME");
    return typeof inner === "string" ? inner.replace(clock, "TIME") : inner;
  });
}

async function until(holds) {
  const ends = Date.now() + STEP_MS_MAX - 500;
  for (;;) {
    const value = await holds();
    if (value) return value;
    if (Date.now() > ends) throw new Error("expected an event that did not come");
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

function bounded(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${STEP_MS_MAX} ms`)), STEP_MS_MAX);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
