// Child processes that end: each has a time limit and a process group of its own, and none outlives the harness.
// It refuses to know what the children are.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";

const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;
const END_GRACE_MS = 2_000;
const READY_MS_MAX = 20_000;
const running = new Set();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));
process.on("exit", () => {
  for (const child of running) kill(child, "SIGKILL");
});

/** Runs to the end, or to the limit. @returns {Promise<{code: number|null, stdout: string, stderr: string, late: boolean}>} */
export async function runToEnd(command, args, { msMax, env, cwd, stdin, onOutput } = {}) {
  const child = start(command, args, { env, cwd, stdin });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  if (onOutput) child.stdout.on("data", () => onOutput(stdout()));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end(child);
  }, msMax);
  const [code] = await once(child, "close");
  clearTimeout(timer);
  end(child);
  return { code, stdout: stdout(), stderr: stderr(), late };
}

/** Starts a server and waits until its port answers. @returns {Promise<{stop: () => Promise<void>, output: () => string}>} */
export async function startServer(command, args, { port, env, cwd } = {}) {
  const child = start(command, args, { env, cwd });
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const output = () => stdout() + stderr();
  const ends = Date.now() + READY_MS_MAX;
  while (!(await answers(port))) {
    const gone = child.exitCode !== null || child.signalCode !== null;
    if (gone || Date.now() > ends) {
      end(child);
      throw new Error(`expected \`${command}\` to listen on port ${port}, found ${gone ? "that it ended" : "silence"}\n${output().slice(-2_000)}`);
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
  return {
    output,
    pid: child.pid,
    stop: async () => {
      if (!running.has(child)) return;
      const closed = once(child, "close");
      end(child);
      await closed;
    },
  };
}

/** A port that was free a moment ago. */
export async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function start(command, args, { env, cwd, stdin }) {
  const input = stdin === undefined ? "ignore" : "pipe";
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, detached: true, stdio: [input, "pipe", "pipe"] });
  child.stdin?.end(stdin);
  running.add(child);
  child.on("error", () => running.delete(child));
  child.on("close", () => running.delete(child));
  return child;
}

function end(child) {
  kill(child, "SIGTERM");
  setTimeout(() => kill(child, "SIGKILL"), END_GRACE_MS).unref();
}

function kill(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The whole group is gone already, which is what was wanted.
  }
}

function collect(stream) {
  const chunks = [];
  let bytes = 0;
  stream.on("data", (chunk) => {
    bytes += chunk.length;
    if (bytes <= OUTPUT_BYTES_MAX) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString();
}

async function answers(port) {
  const socket = net.connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
