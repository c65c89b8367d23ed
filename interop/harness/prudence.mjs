// The real gateway, started the way a person would: `init`, a configuration, contracts that are accepted, then `serve` and
// `task start`, or `wrap`.
// It refuses to know what the checks are; it knows Prudence's command line and files.

import { generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

import { freePort, runToEnd, startServer } from "./children.mjs";

const COMMAND_MS_MAX = 20_000;
/** server-everything adds tools a moment after the client is there. */
const TOOLS_SETTLE_MS = 600;
const NAMES = ["one", "two"];
const PROVISIONER = "provisioner";
/** Everything here is public and trusted, every tool computes: the harness is about what must pass, not about what is stopped. */
const LABEL = '{ readers = ["public"], classification = "public", integrity = "trusted" }';
const EFFECTS = ["read", "compute", "write"];
/** The one tool that is to be refused destroys, which is granted and which the task does not name. */
const REFUSED_EFFECT = "destroy";
/** What a person can agree to afterwards, and nothing but the task's silence stands against. */
const GRAVE_EFFECT = "execute";
const REFUSAL_TEXT = "the task did not name this kind of effect";

/**
 * `mode`: `enforce` with a contract for every tool of each target, or `observe` with none: for servers that count who connects.
 * @param {{refusedTool?: string, mode?: "enforce" | "observe"}} rules
 */
export async function startPrudence(bin, targets, rules) {
  const gate = await prepare(bin, targets, rules);
  try {
    const server = await startServer(bin, ["--config", gate.config, "serve", "--listen", `127.0.0.1:${gate.port}`], { port: gate.port, cwd: gate.folder });
    const token = await startTask(gate);
    const stop = async () => {
      await server.stop();
      await gate.remove();
    };
    return { url: `http://localhost:${gate.port}/mcp`, headers: { authorization: `Bearer ${token}` }, refusalText: REFUSAL_TEXT, stop };
  } catch (error) {
    await gate.remove();
    throw error;
  }
}

/** The directory's service, with a token for it; the gateway beside it has nothing to do. */
export async function startDirectory(bin) {
  const gate = await prepare(bin, [{ url: `http://127.0.0.1:${await freePort()}/mcp` }], { mode: "observe", api: await freePort() });
  try {
    const server = await startServer(bin, ["--config", gate.config, "serve"], { port: gate.api, cwd: gate.folder });
    const token = await prudence(gate, ["--config", gate.config, "client", "token", PROVISIONER, "--door", "scim", "--lease", "1h"]);
    const stop = async () => {
      await server.stop();
      await gate.remove();
    };
    return { url: `http://127.0.0.1:${gate.api}/scim/v2`, token: token.trim(), stop };
  } catch (error) {
    await gate.remove();
    throw error;
  }
}

const PERSON = { name: "bo", password: "a password that is long enough" };

/**
 * Gateway and authorization server, with one person who has an account, a client for people's machines, and two with a key. With `tls` both speak
 * it, and there is one more client, known by the subject of its certificate.
 */
export async function startAuthority(bin, target, graveTool, { tls = false } = {}) {
  const api = await freePort();
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  let certificates;
  const oauth = async (folder) => {
    await writeFile(join(folder, "robot.json"), JSON.stringify({ keys: [publicKey.export({ format: "jwk" })] }));
    if (tls) certificates = await issueCertificates(folder);
  };
  oauth.tls = tls;
  const scheme = tls ? "https" : "http";
  const gate = await prepare(bin, [target], { api, oauth, refusedTool: graveTool, refusedEffect: GRAVE_EFFECT });
  try {
    const account = ["--config", gate.config, "account", "add", PERSON.name, "--password-stdin"];
    await prudence(gate, account, `${PERSON.password}\n`);
    const server = await startServer(bin, ["--config", gate.config, "serve"], { port: gate.port, cwd: gate.folder });
    const stop = async () => {
      await server.stop();
      await gate.remove();
    };
    return {
      url: `${scheme}://127.0.0.1:${gate.port}/mcp`,
      issuer: `${scheme}://127.0.0.1:${api}`,
      certificates,
      person: PERSON,
      robot: privateKey.export({ format: "jwk" }),
      stop,
    };
  } catch (error) {
    await gate.remove();
    throw error;
  }
}

/** A certificate for the server, an authority of clients, and two certificates of it with one subject: the client's, and another's. */
async function issueCertificates(folder) {
  const openssl = async (...args) => {
    const { code, stderr } = await runToEnd("openssl", args, { msMax: COMMAND_MS_MAX, cwd: folder });
    if (code !== 0) throw new Error(`\`openssl ${args[0]}\` ended with ${code}: ${stderr}`);
  };
  // Without the extensions that a system's own configuration adds, which would be there twice.
  await writeFile(join(folder, "openssl.cnf"), "[req]\ndistinguished_name = subject\n[subject]\n");
  const request = ["req", "-config", "openssl.cnf", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const issue = (name, subject, says) => {
    const extensions = [...says, "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid"].flatMap((extension) => ["-addext", extension]);
    return (...more) => openssl(...request, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-subj", subject, ...extensions, ...more);
  };
  const authority = (name) => issue(name, `/CN=authority of ${name}`, ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"])();
  const by = (name) => ["-CA", `${name}.pem`, "-CAkey", `${name}.key`];
  await authority("servers");
  await authority("clients");
  await issue("server", "/CN=server", ["basicConstraints=critical,CA:FALSE", "subjectAltName=IP:127.0.0.1"])(...by("servers"));
  const read = (name) => readFile(join(folder, name), "utf8");
  const issued = [];
  for (const name of ["mutual", "namesake"]) {
    await issue(name, "/O=Example/CN=mutual", ["basicConstraints=critical,CA:FALSE"])(...by("clients"));
    issued.push({ cert: await read(`${name}.pem`), key: await read(`${name}.key`) });
  }
  const files = { ca: join(folder, "servers.pem"), own: [join(folder, "mutual.pem"), join(folder, "mutual.key")] };
  return { ca: await read("servers.pem"), own: issued[0], namesake: issued[1], files };
}

/**
 * The gateway as a client starts it itself, in place of the server: nothing listens, and each start is a task of its own.
 * `permits` counts what it let through, out of a ledger whose chain holds.
 */
export async function wrapInPrudence(bin, target) {
  const gate = await prepare(bin, [target], {});
  const task = ["--requester", "bo", "--agent", "helper", "--purpose", "interop", "--upstream", NAMES[0]];
  const permits = async () => {
    await prudence(gate, ["--config", gate.config, "ledger", "verify"]);
    const shown = await prudence(gate, ["--config", gate.config, "--output", "json", "ledger", "show", "--outcome", "permit"]);
    return shown.split("\n").filter(Boolean).length;
  };
  return { command: bin, args: ["--config", gate.config, "wrap", ...task, "--", target.command, ...target.args], permits, stop: gate.remove };
}

async function prepare(bin, targets, { refusedTool, refusedEffect = REFUSED_EFFECT, mode = "enforce", api, oauth }) {
  const folder = await mkdtemp(join(tmpdir(), "interop-gate-"));
  const gate = {
    bin,
    folder,
    config: join(folder, "prudence.toml"),
    port: await freePort(),
    api,
    oauth,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
  try {
    await prudence(gate, ["init", folder]);
    await mkdir(join(folder, "contracts"), { recursive: true });
    await oauth?.(folder);
    await writeFile(gate.config, configuration(gate, targets, mode));
    if (mode === "enforce") {
      // Every file that the configuration names has to be there before any can be accepted.
      for (const [index, target] of targets.entries()) {
        const tools = await toolsOf(target);
        await writeFile(join(folder, "contracts", `${NAMES[index]}.toml`), contract(tools, refusedTool, refusedEffect));
      }
      for (const [index] of targets.entries()) await prudence(gate, ["--config", gate.config, "contract", "accept", NAMES[index]]);
    }
    await prudence(gate, ["--config", gate.config, "config", "check"]);
    return gate;
  } catch (error) {
    await gate.remove();
    throw error;
  }
}

/** Strangers are let in as guests, so that SDKs can register themselves. */
const AUTHORIZATION = `
[authorization]
guest_agent = "guest"
registration = true
client_documents = true
step_up = true

[[oauth_clients]]
id = "desk"
name = "Desk"
agent = "helper"
redirects = ["http://127.0.0.1/callback"]

[[oauth_clients]]
id = "robot"
agent = "helper"
keys = "robot.json"
purpose = "nightly"
effects = ["read", "compute"]
introspects = true

[[oauth_clients]]
id = "pyrobot"
agent = "helper"
keys = "robot.json"
purpose = "nightly"
effects = ["read", "compute"]
asserts_to_endpoint = true

[[agents]]
id = "guest"
owner = "bo"

[[grants]]
to = "guest"
may = ["read", "compute"]
on = ["*"]
`;

const TLS = `
[server.tls]
certificate = "server.pem"
key = "server.key"
client_authorities = "clients.pem"

[[oauth_clients]]
id = "mutual"
agent = "helper"
purpose = "nightly"
effects = ["read", "compute"]
tls_client_auth_subject_dn = "CN=mutual,O=Example"
`;

function configuration({ port, api, oauth }, targets, mode) {
  const upstreams = targets.map((target, index) => {
    const reached = target.url
      ? `url = ${quoted(target.url)}`
      : `command = ${quoted(target.command)}\nargs = [${target.args.map(quoted).join(", ")}]`;
    const contract = mode === "enforce" ? `contract = ${quoted(`contracts/${NAMES[index]}.toml`)}\n` : "";
    return `[[upstreams]]\nname = "${NAMES[index]}"\n${reached}\nmode = "${mode}"\n${contract}`;
  });
  const authorization = oauth ? AUTHORIZATION + (oauth.tls ? TLS : "") : "";
  const door = api ? `api_listen = "127.0.0.1:${api}"\n\n[[clients]]\nid = "${PROVISIONER}"\ndoors = ["scim"]\n` : "";
  const may = [...EFFECTS, REFUSED_EFFECT, GRAVE_EFFECT].map(quoted).join(", ");
  return `[server]
listen = "127.0.0.1:${port}"
${door}
[[people]]
id = "bo"

[[agents]]
id = "helper"
owner = "bo"

[[grants]]
to = "bo"
may = [${may}]
on = ["*"]

[[grants]]
to = "helper"
may = [${may}]
on = ["*"]

${authorization}
${upstreams.join("\n")}`;
}

function contract(tools, refusedTool, refusedEffect) {
  const parts = tools.map(({ name, inputSchema }) => {
    const effect = name === refusedTool ? refusedEffect : "compute";
    const names = Object.keys(inputSchema.properties ?? {}).map(quoted).join(", ");
    return `[[tool]]\nname = ${quoted(name)}\neffects = ["${effect}"]\narguments = [${names}]\nresult = { label = ${LABEL} }\n`;
  });
  const resources = ["demo", "test"].map((scheme) => `[[resource]]\nuri = "${scheme}://{}"\nitem = "${scheme}:{}"\nlabel = ${LABEL}\n`);
  return [...parts, ...resources].join("\n");
}

async function toolsOf(target) {
  const client = new Client(
    { name: "interop-contract", version: "1.0.0" },
    { capabilities: { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } } },
  );
  client.setRequestHandler("roots/list", async () => ({ roots: [] }));
  const transport = target.url
    ? new StreamableHTTPClientTransport(new URL(target.url))
    : new StdioClientTransport({ command: target.command, args: target.args, stderr: "ignore" });
  await client.connect(transport, { timeout: COMMAND_MS_MAX });
  await new Promise((wake) => setTimeout(wake, TOOLS_SETTLE_MS));
  const { tools } = await client.listTools();
  await client.close();
  return tools;
}

async function startTask(gate) {
  const args = ["--requester", "bo", "--agent", "helper", "--purpose", "interop", "--lease", "1h", "--address", "bo"];
  const names = ["--effects", EFFECTS.join(","), "--resources", "*", "--token-only"];
  return (await prudence(gate, ["--config", gate.config, "task", "start", ...args, ...names])).trim();
}

async function prudence(gate, args, stdin) {
  const { code, stdout, stderr, late } = await runToEnd(gate.bin, args, { msMax: COMMAND_MS_MAX, cwd: gate.folder, stdin });
  if (code !== 0 || late) throw new Error(`\`prudence ${args.filter((arg) => !arg.startsWith("/")).join(" ")}\` ended with ${late ? "silence" : code}: ${(stderr || stdout).slice(0, 2_000)}`);
  return stdout;
}

function quoted(text) {
  return JSON.stringify(text);
}
