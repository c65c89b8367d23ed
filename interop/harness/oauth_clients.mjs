// OAuth clients that nobody here wrote, logged in at the authorization server and let in at the gateway: one check a line on standard output.
//
// usage: node oauth_clients.mjs '{"client": NAME, "url": MCP, "issuer": URL, "person": {"name", "password"}, "robot": {JWK}}'

import { X509Certificate, webcrypto } from "node:crypto";
import { createServer } from "node:http";
import { request } from "node:https";

import { Client, DpopSession, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import * as dpop from "dpop";
import * as web from "oauth4webapi";
import * as oidc from "openid-client";

import { agree } from "./person.mjs";

const job = JSON.parse(process.argv[2]);
const REDIRECT = "http://127.0.0.1:53210/callback";
const CLIENT = "desk";
const ROBOT = "robot";
const RPC = { jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } } };

async function check(id, run) {
  try {
    const detail = await run();
    console.log(JSON.stringify({ id, passed: detail === undefined || detail === true, detail: String(detail ?? "") }));
  } catch (error) {
    const why = [error, error.cause].filter(Boolean).map((e) => `${e.name}: ${e.message} ${JSON.stringify(e.cause ?? e.error ?? "")}`).join("; ");
    console.log(JSON.stringify({ id, passed: false, detail: why.slice(0, 500) }));
  }
}

function is(what, value) {
  if (!value) throw new Error(`expected ${what}`);
}

/** What the SDK asks of whoever stores things, and nothing beside it. */
function provider({ registered, session }) {
  const kept = { sent: [] };
  return {
    kept,
    get redirectUrl() { return REDIRECT; },
    get clientMetadata() { return { client_name: "TypeScript SDK", redirect_uris: [REDIRECT], token_endpoint_auth_method: "none" }; },
    clientInformation: () => kept.client ?? (registered ? { client_id: CLIENT } : undefined),
    saveClientInformation: (client) => { kept.client = client; },
    tokens: () => kept.tokens,
    saveTokens: (tokens) => { kept.tokens = tokens; },
    codeVerifier: () => kept.verifier,
    saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
    state: () => "a-state",
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (state) => { kept.discovery = state; },
    redirectToAuthorization: (url) => { kept.sent.push(url); },
    ...(session && { dpop: () => session }),
  };
}

async function typescript({ registered, bound }) {
  const session = bound ? await DpopSession.create() : undefined;
  const authProvider = provider({ registered, session });
  const client = () => new Client({ name: "interop", version: "1.0.0" });
  const transport = () => new StreamableHTTPClientTransport(new URL(job.url), { authProvider });
  await check("asks-a-person", async () => {
    await client().connect(transport()).then(() => { throw new Error("let in without a token"); }, (error) => { if (!(error instanceof UnauthorizedError)) throw error; });
    is("one address to send the person to", authProvider.kept.sent.length === 1);
  });
  await check("logs-in", async () => {
    const { back, page } = await agree(authProvider.kept.sent[0].href, job.person);
    is("a page that names the client", page.includes(registered ? "Desk" : "TypeScript SDK"));
    is("a warning for strangers", registered || page.includes("registered itself"));
    await transport().finishAuth(back.searchParams);
    is(`a ${bound ? "bound" : "bearer"} token`, authProvider.kept.tokens.token_type.toLowerCase() === (bound ? "dpop" : "bearer"));
  });
  const connected = client();
  await check("is-let-in", () => connected.connect(transport()));
  await check("calls-a-tool", async () => {
    for (const message of ["one", "two", "three"]) {
      const { content } = await connected.callTool({ name: "echo", arguments: { message } });
      is("an echo", content[0].text.includes(message));
    }
  });
  if (bound) await check("asks-for-more-when-a-call-needs-it", async () => {
    const sum = { name: job.graveTool, arguments: { a: 1, b: 2 } };
    const refused = await connected.callTool(sum).then(() => "called", (error) => error.name);
    is(`a refusal, not ${refused}`, refused !== "called");
    const more = authProvider.kept.sent.pop();
    is("the missing scope in the next request", more.searchParams.get("scope")?.split(" ").includes("execute"));
    const { back } = await agree(more.href, job.person, { all: true });
    await transport().finishAuth(back.searchParams);
    const again = client();
    await again.connect(transport());
    is("the sum", (await again.callTool(sum)).content[0].text.includes("3"));
    await again.close();
  });
  await connected.close().catch(() => {});
  await check("refreshes", async () => {
    const before = authProvider.kept.tokens;
    // What the SDK takes for a token that is over.
    authProvider.kept.tokens = { ...before, access_token: `${before.access_token.slice(0, -4)}AAAA` };
    const again = client();
    await again.connect(transport());
    await again.close();
    is("another refresh token", authProvider.kept.tokens.refresh_token !== before.refresh_token);
    is("nobody asked again", authProvider.kept.sent.length === 1);
  });
}

/** A token as a thief has it, and a proof as a thief has it. */
async function stolen(accessToken, proof) {
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  const send = (more) => fetch(job.url, { method: "POST", headers: { ...headers, ...more }, body: JSON.stringify(RPC) });
  await check("a-stolen-token-is-refused", async () => {
    is("401 as a bearer token", (await send({ authorization: `Bearer ${accessToken}` })).status === 401);
    is("401 without a proof", (await send({ authorization: `DPoP ${accessToken}` })).status === 401);
    const theirs = await dpop.generateKeyPair("ES256");
    const nonce = (await send({ authorization: `DPoP ${accessToken}` })).headers.get("dpop-nonce") ?? undefined;
    is("a nonce in the refusal", nonce);
    const other = await dpop.generateProof(theirs, job.url, "POST", nonce, accessToken);
    is("401 with another key", (await send({ authorization: `DPoP ${accessToken}`, dpop: other })).status === 401);
    if (proof) is("401 with a used proof", (await send({ authorization: `DPoP ${accessToken}`, dpop: proof })).status === 401);
  });
}

const INSECURE = { execute: [oidc.allowInsecureRequests] };

async function openidClient() {
  const keys = await oidc.randomDPoPKeyPair("ES256");
  let config;
  await check("discovers", async () => {
    config = await oidc.discovery(new URL(job.issuer), CLIENT, { token_endpoint_auth_method: "none" }, oidc.None(), { ...INSECURE, algorithm: "oauth2" });
    is("PAR in the metadata", config.serverMetadata().pushed_authorization_request_endpoint);
  });
  const handle = oidc.getDPoPHandle(config, keys);
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  let tokens;
  await check("pushes-and-logs-in-with-a-task", async () => {
    const details = JSON.stringify([{ type: "prudence_task", purpose: "report", words: "sum it up for me", effects: ["read", "compute"], lease_ms: 600000 }]);
    const parameters = {
      redirect_uri: REDIRECT, resource: job.url, authorization_details: details, state,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
    };
    const url = await oidc.buildAuthorizationUrlWithPAR(config, parameters, { DPoP: handle });
    is("nothing but the name of the request in the browser", !url.searchParams.has("authorization_details"));
    const { back, page } = await agree(url.href, job.person);
    is("the words on the page", page.includes("sum it up for me"));
    tokens = await oidc.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, expectedState: state }, undefined, { DPoP: handle });
    is("a bound token", tokens.token_type === "dpop");
    is("the task in the answer", tokens.authorization_details[0].effects.join() === "read,compute");
  });
  await check("is-let-in", async () => {
    const headers = new Headers({ "content-type": "application/json", accept: "application/json, text/event-stream" });
    const send = () => oidc.fetchProtectedResource(config, tokens.access_token, new URL(job.url), "POST", JSON.stringify(RPC), headers, { DPoP: handle });
    // The library hands the demand for a nonce to its caller.
    const answer = await send().catch((error) => (error instanceof oidc.WWWAuthenticateChallengeError ? send() : Promise.reject(error)));
    is("an answer", answer.status === 200);
    await answer.text();
  });
  await check("refreshes-once", async () => {
    const next = await oidc.refreshTokenGrant(config, tokens.refresh_token, {}, { DPoP: handle });
    is("another refresh token", next.refresh_token !== tokens.refresh_token);
    const again = await oidc.refreshTokenGrant(config, tokens.refresh_token, {}, { DPoP: handle }).then(() => "granted", (error) => error.error);
    is("a refusal of the used one", again === "invalid_grant");
    const after = await oidc.refreshTokenGrant(config, next.refresh_token, {}, { DPoP: handle }).then(() => "granted", (error) => error.error);
    is("the end of the family", after === "invalid_grant");
  });
  await stolen(tokens.access_token);
}

async function oauth4webapi() {
  const insecure = { [web.allowInsecureRequests]: true };
  const issuer = new URL(job.issuer);
  const server = await web.processDiscoveryResponse(issuer, await web.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }));
  const client = { client_id: CLIENT };
  const keys = await web.generateKeyPair("ES256");
  const DPoP = web.DPoP(client, keys);
  const verifier = web.generateRandomCodeVerifier();
  let tokens;
  const retried = async (send, read) => {
    try {
      return await read(await send());
    } catch (error) {
      if (!web.isDPoPNonceError(error)) throw error;
      return read(await send());
    }
  };
  await check("logs-in", async () => {
    const url = new URL(server.authorization_endpoint);
    const query = {
      client_id: CLIENT, redirect_uri: REDIRECT, response_type: "code", scope: "read compute", state: "s", resource: job.url,
      code_challenge: await web.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", dpop_jkt: await DPoP.calculateThumbprint(),
    };
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const { back } = await agree(url.href, job.person);
    const answered = web.validateAuthResponse(server, client, back, "s");
    const send = () => web.authorizationCodeGrantRequest(server, client, web.None(), answered, REDIRECT, verifier, { DPoP, ...insecure });
    tokens = await retried(send, (response) => web.processAuthorizationCodeResponse(server, client, response));
    is("a bound token", tokens.token_type === "dpop");
  });
  await check("is-let-in", async () => {
    const headers = new Headers({ "content-type": "application/json", accept: "application/json, text/event-stream" });
    const send = () => web.protectedResourceRequest(tokens.access_token, "POST", new URL(job.url), headers, JSON.stringify(RPC), { DPoP, ...insecure });
    const answer = await retried(send, (response) => response);
    is("an answer", answer.status === 200);
    await answer.text();
  });
  const robot = { client_id: ROBOT };
  const key = { key: await webcrypto.subtle.importKey("jwk", job.robot, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]) };
  const robotKeys = await web.generateKeyPair("ES256");
  const RobotDPoP = web.DPoP(robot, robotKeys);
  let standing;
  await check("client-credentials-with-a-key", async () => {
    const send = () => web.clientCredentialsGrantRequest(server, robot, web.PrivateKeyJwt(key), {}, { DPoP: RobotDPoP, ...insecure });
    standing = await retried(send, (response) => web.processClientCredentialsResponse(server, robot, response));
    is("a bound token", standing.token_type === "dpop");
  });
  await check("hands-a-part-on", async () => {
    const signed = new URLSearchParams();
    await web.PrivateKeyJwt(key)(server, robot, signed, new Headers());
    const parameters = {
      subject_token: tokens.access_token, subject_token_type: "urn:ietf:params:oauth:token-type:access_token",
      actor_token: signed.get("client_assertion"), actor_token_type: "urn:ietf:params:oauth:token-type:jwt", scope: "read",
    };
    const grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    const exchange = (more) => web.genericTokenEndpointRequest(server, client, web.None(), grant, { ...parameters, ...more }, { DPoP, ...insecure });
    const part = await retried(() => exchange({}), (response) => web.processGenericTokenEndpointResponse(server, client, response));
    is("a narrower, bound token", part.scope === "read" && part.token_type === "dpop");
    const claims = JSON.parse(Buffer.from(part.access_token.split(".")[1], "base64url"));
    is("both agents in the chain", claims.act.sub === "helper" && claims.act.act.sub === "helper" && claims.sub === "bo");
    is("another key", claims.cnf.jkt !== (await DPoP.calculateThumbprint()));
    const again = await web.processGenericTokenEndpointResponse(server, client, await exchange({})).then(() => "granted", (error) => error.error);
    is("a refusal of the used assertion", again === "invalid_request");
  });
  await check("introspects-and-revokes", async () => {
    const ask = async () => {
      const response = await web.introspectionRequest(server, robot, web.PrivateKeyJwt(key), tokens.access_token, insecure);
      return web.processIntrospectionResponse(server, robot, response);
    };
    const about = await ask();
    is("an active token of the helper", about.active && about.act.sub === "helper" && about.sub === "bo");
    await web.processRevocationResponse(await web.revocationRequest(server, client, web.None(), tokens.refresh_token, insecure));
    is("nothing left of it", (await ask()).active === false);
  });
  await stolen(standing.access_token);
}

/** What the library takes in place of `fetch`: over TLS, showing a certificate or none. */
function over(identity) {
  return (url, { method = "GET", headers, body } = {}) =>
    new Promise((resolve, reject) => {
      const sent = request(url, { method, headers: Object.fromEntries(new Headers(headers)), ca: job.certificates.ca, agent: false, ...identity }, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => resolve(new Response(Buffer.concat(parts), { status: answer.statusCode, headers: answer.headers })));
      });
      sent.on("error", reject);
      sent.end(body?.toString());
    });
}

async function openidClientMutualTls() {
  const { own, namesake } = job.certificates;
  const discovered = (identity) =>
    oidc.discovery(new URL(job.issuer), "mutual", { use_mtls_endpoint_aliases: true }, oidc.TlsClientAuth(), { algorithm: "oauth2", [oidc.customFetch]: over(identity) });
  let config;
  await check("discovers", async () => {
    config = await discovered(own);
    is("the method in the metadata", config.serverMetadata().token_endpoint_auth_methods_supported.includes("tls_client_auth"));
    is("bound tokens in the metadata", config.serverMetadata().tls_client_certificate_bound_access_tokens === true);
  });
  let tokens;
  await check("client-credentials-with-a-certificate", async () => {
    tokens = await oidc.clientCredentialsGrant(config, {});
    is("a token that is sent as a bearer token", tokens.token_type === "bearer");
    const { cnf } = JSON.parse(Buffer.from(tokens.access_token.split(".")[1], "base64url"));
    const thumbprint = Buffer.from(new X509Certificate(own.cert).fingerprint256.replaceAll(":", ""), "hex").toString("base64url");
    is("the certificate in the token", cnf["x5t#S256"] === thumbprint);
  });
  const called = async (config) => {
    const headers = new Headers({ "content-type": "application/json", accept: "application/json, text/event-stream" });
    const answer = await oidc.fetchProtectedResource(config, tokens.access_token, new URL(job.url), "POST", JSON.stringify(RPC), headers).catch((error) => error.response ?? Promise.reject(error));
    await answer.body?.cancel();
    return answer.status;
  };
  await check("is-let-in", async () => is("an answer", (await called(config)) === 200));
  await check("a-stolen-token-is-refused", async () => {
    is("401 without a certificate", (await called(await discovered({}))) === 401);
    is("401 with another certificate of the same name", (await called(await discovered(namesake))) === 401);
  });
  await check("nobody-is-the-client-without-its-certificate", async () => {
    const refused = await oidc.clientCredentialsGrant(await discovered({}), {}).then(() => "granted", (error) => error.error);
    is(`a refusal, not ${refused}`, refused === "invalid_client");
  });
}

const CLIENTS = {
  "typescript-sdk-dpop": () => typescript({ registered: true, bound: true }),
  "typescript-sdk-registers-itself": () => typescript({ registered: false, bound: false }),
  "openid-client": openidClient,
  "openid-client-mutual-tls": openidClientMutualTls,
  oauth4webapi,
};
// Nobody listens there; a library that followed the redirect by itself would be seen.
createServer((_, response) => response.end()).listen(0).unref();
await CLIENTS[job.client]();
process.exit(0);
