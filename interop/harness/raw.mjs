// Raw requests that no client would send, and what arrives at the server behind the gateway.
// It refuses to know how either of them was started.

import http from "node:http";
import { once } from "node:events";

const ANSWER_MS_MAX = 5_000;
const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "interop-raw", version: "1" } },
};

/** What must come through, and what must not. @returns {Promise<import("./compare.mjs").Check[]>} */
export async function seen(gateway, exchanges) {
  const opened = await post(gateway, { ...INITIALIZE, params: { ...INITIALIZE.params, unknownField: { kept: [1, "x"] } } });
  const session = await sessionOf(gateway, opened);
  const id = 'a "strange" id \u2028 with \\ everything';
  const called = await post(gateway, { ...echo("hello"), id }, session);
  await post(gateway, { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 77, reason: "interop" } }, session);
  const ended = await ask(gateway, "DELETE", "", session);

  const bodies = exchanges.map(({ body }) => body);
  const arrived = (text) => bodies.some((body) => body.includes(text));
  return [
    fact("session-opens", opened.status === 200 && opened.session, `status ${opened.status}, session ${opened.session}`),
    fact("unknown-fields-reach-the-upstream", arrived("unknownField"), "the member was dropped"),
    fact("meta-reaches-the-upstream", arrived("example.org/kept"), "the member was dropped"),
    fact("id-comes-back-as-it-was-sent", idOf(called.text) === id, called.text.slice(0, 200)),
    fact("cancellation-reaches-the-upstream", arrived("notifications/cancelled"), "no such message"),
    fact("credential-ends-at-the-gateway", exchanges.every(({ headers }) => !headers.authorization), "the upstream was shown the client's credential"),
    fact("session-ends-upstream", ended.status < 300 && exchanges.some(({ method }) => method === "DELETE"), `status ${ended.status}`),
  ];
}

/** What must be refused by the gateway itself, before anything of it reaches the server. @returns {Promise<import("./compare.mjs").Check[]>} */
export async function refusals(gateway, exchanges) {
  const session = await sessionOf(gateway, await post(gateway, INITIALIZE));
  const modern = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call" };
  const call = JSON.stringify(echo("never"));
  const twice = call.replace('"name":"echo"', '"name":"echo","name":"get-env"');
  const facts = [];
  const refuses = async (id, sends, statuses = [400, 401, 403, 404, 413, 421]) => {
    const before = exchanges.length;
    const answer = await sends();
    const passed = statuses.includes(answer.status) && exchanges.length === before;
    facts.push(fact(id, passed, `status ${answer.status}, ${exchanges.length - before} requests upstream: ${answer.text.slice(0, 160)}`));
  };
  await refuses("no-credential", () => ask({ ...gateway, headers: {} }, "POST", call, session), [401]);
  await refuses("wrong-credential", () => ask({ ...gateway, headers: { authorization: "Bearer e30.e30.e30" } }, "POST", call, session), [401]);
  await refuses("host-of-somebody-else", () => ask(gateway, "POST", call, { ...session, host: "evil.example" }));
  await refuses("origin-of-somebody-else", () => ask(gateway, "POST", call, { ...session, origin: "http://evil.example" }));
  await refuses("session-of-nobody", () => ask(gateway, "POST", call, { ...session, "mcp-session-id": "no-such-session" }), [404]);
  await refuses("header-names-another-tool", () => ask(gateway, "POST", call, { ...session, ...modern, "mcp-name": "get-env" }), [400]);
  await refuses("header-names-another-method", () => ask(gateway, "POST", call, { ...session, ...modern, "mcp-method": "tools/list", "mcp-name": "echo" }), [400]);
  await refuses("member-given-twice", () => ask(gateway, "POST", twice, session), [400]);
  await refuses("not-json", () => ask(gateway, "POST", call.slice(0, -1), session), [400]);
  await refuses("several-messages-at-once", () => ask(gateway, "POST", `[${call},${call}]`, session), [400]);
  await refuses("nested-without-end", () => ask(gateway, "POST", echoOf(`${"[".repeat(5_000)}${"]".repeat(5_000)}`), session), [400]);
  // A decided call is refused in a way that a model can read.
  await refuses("number-that-readers-disagree-about", () => ask(gateway, "POST", sum("1e21"), session), [200, 400]);
  await refuses("too-big", () => ask(gateway, "POST", echoOf(JSON.stringify("x".repeat(20 << 20))), session).catch(() => ({ status: 413, text: "closed" })));
  const still = await post(gateway, echo("still served"), session);
  facts.push(fact("afterwards-the-session-is-served", still.text.includes("Echo: still served"), still.text.slice(0, 200)));
  return facts;
}

function echo(message) {
  return { jsonrpc: "2.0", id: 2, method: "tools/call", params: { _meta: { "example.org/kept": true }, name: "echo", arguments: { message } } };
}

function echoOf(rawMessage) {
  return JSON.stringify(echo("PLACE")).replace('"PLACE"', rawMessage);
}

function sum(rawNumber) {
  return JSON.stringify({ ...echo(), params: { name: "get-sum", arguments: { a: 1, b: "PLACE" } } }).replace('"PLACE"', rawNumber);
}

async function sessionOf(gateway, opened) {
  const session = { "mcp-session-id": opened.session ?? "", "mcp-protocol-version": "2025-11-25" };
  await post(gateway, { jsonrpc: "2.0", method: "notifications/initialized" }, session);
  return session;
}

function post(gateway, message, headers = {}) {
  return ask(gateway, "POST", JSON.stringify(message), headers);
}

/** `http` rather than `fetch`, which lets nobody choose a `Host`. */
async function ask(gateway, method, body, headers) {
  const request = http.request(gateway.url, {
    method,
    agent: false,
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...gateway.headers, ...headers },
    signal: AbortSignal.timeout(ANSWER_MS_MAX),
  });
  request.end(body);
  const [answer] = await once(request, "response");
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  return { status: answer.statusCode, session: answer.headers["mcp-session-id"], text: Buffer.concat(chunks).toString() };
}

function idOf(stream) {
  const data = stream.split("\n").filter((line) => line.startsWith("data: {")).at(-1) ?? `data: ${stream}`;
  return JSON.parse(data.slice("data: ".length)).id;
}

function fact(id, passed, detail) {
  return { id, passed: Boolean(passed), detail: passed ? undefined : detail };
}
