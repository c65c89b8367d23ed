// The command that the conformance suite runs as "the client" when its own server is the upstream: starts a gateway in front of
// that server, and the Python SDK's conformance client in front of the gateway.
//
// usage: node through-gateway.mjs URL, with the choice of gateway in INTEROP_GATEWAY (JSON)

import { runToEnd } from "./children.mjs";
import { forward } from "./forward.mjs";
import { startGateway } from "./gateway.mjs";
import * as places from "./places.mjs";

const CLIENT_MS_MAX = 25_000;

// The suite's servers judge every request that reaches them, so nobody but the client may ask for the tools: no contracts, observing.
const gateway = await startGateway(JSON.parse(process.env.INTEROP_GATEWAY), [{ url: process.argv.at(-1) }], { mode: "observe" });
// The suite's client has no way to be given a credential.
const front = await forward({ target: gateway.url, headers: gateway.headers });
const client = await runToEnd(places.python, [places.suiteClient, front.url], { msMax: CLIENT_MS_MAX });
process.stdout.write(client.stdout);
process.stderr.write(client.stderr);
await front.close();
await gateway.stop();
process.exit(client.code ?? 1);
