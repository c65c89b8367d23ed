// A byte-forwarding HTTP proxy, bound to loopback. It serves twice: as the hand that adds a credential for suites that
// send none, and as the stand-in gateway with which the harness itself is proved. With a `fault` it is a bad gateway on
// purpose, so that the harness can show it would notice one.
//
// It refuses to know MCP: it forwards what it is given. Only a scripted refusal and the faults look inside.

import http from "node:http";
import { once } from "node:events";

const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
// RFC 9110 §7.6.1: these belong to one hop.
const HOP_HEADERS = new Set(["connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"]);

/** What a bad gateway may do, and the group of checks that must notice it. */
export const FAULTS = {
  buffer: "typescript-everything-http-legacy",
  "drop-mcp-headers": "typescript-suite-server-auto",
  "drop-event-ids": "conformance-server-2025-11-25",
  "drop-unknown-members": "what-the-upstream-sees",
  "swallow-notifications": "what-the-upstream-sees",
  "show-the-credential": "what-the-upstream-sees",
  "refuse-with-an-error": "framework-openai-agents",
};

/**
 * Forwards every request to `target`.
 * `headers` are added, `demands` is an `Authorization` value that requests must have and that ends here, `refusal` answers calls of
 * one tool with a refusal, `fault` is one of `FAULTS`, and `onExchange` is told of each request.
 * @param {{target: string, headers?: Record<string, string>, demands?: string, refusal?: {tool: string, text: string}, fault?: string, onExchange?: (exchange: object) => void}} options
 * @returns {Promise<{url: string, close: () => Promise<void>}>}
 */
export async function forward({ target, headers = {}, demands, refusal, fault, onExchange }) {
  const upstream = new URL(target);
  const sockets = new Set();
  const server = http.createServer(async (request, response) => {
    if (demands && request.headers.authorization !== demands) return void response.writeHead(401).end();
    const own = `localhost:${server.address().port}`;
    const outgoing = outgoingHeaders(request, { own, upstream, headers, demands, fault });
    let body = await bodyOf(request).catch(() => null);
    if (body === null) return void response.destroy();
    if (fault === "swallow-notifications" && body.length > 0 && !("id" in JSON.parse(body))) return void response.writeHead(202).end();
    if (fault === "drop-unknown-members") body = withoutUnknownMembers(body);
    onExchange?.({ method: request.method, headers: request.headers, body: body.toString() });
    const refused = refusalOf(body, refusal, fault);
    if (refused) return void response.writeHead(200, { "content-type": "application/json" }).end(refused);
    const path = request.url === "/mcp" ? upstream.pathname + upstream.search : request.url;
    const call = http.request(
      { host: upstream.hostname, port: upstream.port, path, method: request.method, headers: outgoing, agent: false },
      (answer) => answerThrough(answer, response, fault),
    );
    call.setNoDelay(true);
    call.on("error", () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
    response.on("close", () => call.destroy());
    call.end(body);
  });
  server.on("connection", (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  // Long-lived event streams are normal here; the harness's own time limits end what hangs.
  server.requestTimeout = 0;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://localhost:${server.address().port}/mcp`,
    close: async () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}

function outgoingHeaders(request, { own, upstream, headers, demands, fault }) {
  const outgoing = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const [name, value] = [request.rawHeaders[i], request.rawHeaders[i + 1]];
    const lower = name.toLowerCase();
    if (HOP_HEADERS.has(lower) || lower in headers) continue;
    if (demands && lower === "authorization" && fault !== "show-the-credential") continue;
    if (fault === "drop-mcp-headers" && lower.startsWith("mcp-")) continue;
    if (fault === "drop-unknown-members" && lower === "content-length") continue;
    // A host that is not ours is somebody's attack and must arrive as one; ours becomes the upstream's.
    if (lower === "host") outgoing.push(name, isOwnHost(value, own) ? upstream.host : value);
    else outgoing.push(name, value);
  }
  for (const [name, value] of Object.entries(headers)) outgoing.push(name, value);
  return outgoing;
}

function isOwnHost(value, own) {
  return value === own || value === own.replace("localhost", "127.0.0.1");
}

function answerThrough(answer, response, fault) {
  const kept = [];
  for (let i = 0; i < answer.rawHeaders.length; i += 2) {
    const lower = answer.rawHeaders[i].toLowerCase();
    if (HOP_HEADERS.has(lower)) continue;
    if (fault === "drop-mcp-headers" && lower.startsWith("mcp-")) continue;
    if (fault === "buffer" && lower === "content-length") continue;
    kept.push(answer.rawHeaders[i], answer.rawHeaders[i + 1]);
  }
  answer.on("error", () => response.destroy());
  if (fault === "buffer") {
    const chunks = [];
    answer.on("data", (chunk) => chunks.push(chunk));
    answer.on("end", () => response.writeHead(answer.statusCode, kept).end(Buffer.concat(chunks)));
    return;
  }
  response.writeHead(answer.statusCode, kept);
  response.flushHeaders();
  if (fault === "drop-event-ids") {
    answer.on("data", (chunk) => response.write(chunk.toString().replace(/^id: .*$/gm, ": id")));
    answer.on("end", () => response.end());
    return;
  }
  answer.pipe(response);
}

function withoutUnknownMembers(body) {
  if (body.length === 0) return body;
  const message = JSON.parse(body);
  if (message.params) delete message.params.unknownField;
  return Buffer.from(JSON.stringify(message));
}

function refusalOf(body, refusal, fault) {
  if (!refusal || !body.includes(refusal.tool)) return null;
  const message = JSON.parse(body);
  if (message.method !== "tools/call" || message.params.name !== refusal.tool) return null;
  const answer = { jsonrpc: "2.0", id: message.id };
  if (fault === "refuse-with-an-error") return JSON.stringify({ ...answer, error: { code: -32001, message: refusal.text } });
  const result = { content: [{ type: "text", text: refusal.text }], isError: true, resultType: "complete" };
  return JSON.stringify({ ...answer, result });
}

async function bodyOf(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    if (bytes > REQUEST_BYTES_MAX) throw new Error(`request body over ${REQUEST_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
