// The gateway under test, started in front of one upstream or several: the real one, or the forwarding stand-in that proves the harness.
// Callers get a URL and headers and refuse to know which one it is.

import { forward } from "./forward.mjs";
import { startPrudence, wrapInPrudence } from "./prudence.mjs";

/**
 * @typedef {{url: string} | {command: string, args: string[]}} Target
 * @typedef {{url: string, headers: Record<string, string>, refusalText: string, stop: () => Promise<void>}} Running
 * @param {{bin?: string, fault?: string}} choice
 * @param {Target[]} targets named `one`, `two`, … in this order
 * @param {{refusedTool?: string, mode?: "enforce" | "observe"}} rules
 * @returns {Promise<Running>}
 */
export async function startGateway(choice, targets, rules = {}) {
  return choice.bin ? startPrudence(choice.bin, targets, rules) : startStandIn(choice.fault, targets[0], rules);
}

/**
 * The gateway between the standard streams of a client and of one server, as a command for the client to start.
 * @returns {Promise<{command: string, args: string[], permits: () => Promise<number>, stop: () => Promise<void>}>}
 */
export function wrap({ bin }, target) {
  return wrapInPrudence(bin, target);
}

/** What a gateway in front of several servers puts before the names of the nth one's tools. */
export const PREFIXES = ["one__", "two__"];

/** The stand-in forwards bytes, so it can stand only in front of one server over HTTP. */
export function standsBefore(choice, targets) {
  return Boolean(choice.bin) || (targets.length === 1 && "url" in targets[0]);
}

/** What a refusal by this gateway is certain to say. */
export const REFUSAL = { standIn: "refused by the stand-in" };

async function startStandIn(fault, target, { refusedTool }) {
  const credential = "Bearer stand-in";
  const proxy = await forward({
    target: target.url,
    fault,
    demands: credential,
    refusal: refusedTool && { tool: refusedTool, text: REFUSAL.standIn },
  });
  return { url: proxy.url, headers: { authorization: credential }, refusalText: REFUSAL.standIn, stop: proxy.close };
}
