// The gateway under test, started in front of one upstream: the real one, or the forwarding stand-in that proves the harness.
// Callers get a URL and headers and refuse to know which one it is.

import { freePort, startServer } from "./children.mjs";
import { forward } from "./forward.mjs";

/**
 * @typedef {{url: string} | {command: string, args: string[]}} Upstream
 * @typedef {{url: string, headers: Record<string, string>, stop: () => Promise<void>}} Running
 * @param {{bin?: string, fault?: string}} choice
 * @param {Upstream} upstream
 * @param {{refusedTool?: string}} rules
 * @returns {Promise<Running>}
 */
export async function startGateway(choice, upstream, rules = {}) {
  return choice.bin ? startReal(choice.bin, upstream, rules) : startStandIn(choice.fault, upstream, rules);
}

/** The stand-in forwards bytes, so it can stand only in front of HTTP. */
export function standsBefore(choice, upstream) {
  return Boolean(choice.bin) || "url" in upstream;
}

/** What a refusal by this gateway is certain to say. */
export const REFUSAL = { standIn: "refused by the stand-in" };

async function startStandIn(fault, upstream, { refusedTool }) {
  const credential = "Bearer stand-in";
  const proxy = await forward({
    target: upstream.url,
    fault,
    demands: credential,
    refusal: refusedTool && { tool: refusedTool, text: REFUSAL.standIn },
  });
  return { url: proxy.url, headers: { authorization: credential }, refusalText: REFUSAL.standIn, stop: proxy.close };
}

async function startReal() {
  throw new Error("the real gateway is not wired up yet");
}
