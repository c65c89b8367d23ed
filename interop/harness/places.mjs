// Where the foreign things are. Nothing else in the harness names a path of theirs.

import { fileURLToPath } from "node:url";

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const npm = at("../.tools/npm/node_modules/@modelcontextprotocol/");

export const node = process.execPath;
export const python = at("../.tools/venv/bin/python");
export const suite = `${npm}conformance/dist/index.js`;
export const everythingServer = `${npm}server-everything/dist/index.js`;
export const filesystemServer = `${npm}server-filesystem/dist/index.js`;
export const suiteServerFolder = at("../.tools/sdk/examples/servers/everything-server");
export const suiteClient = at("../.tools/sdk/.github/actions/conformance/client.py");
export const throughGateway = at("through-gateway.mjs");
export const typescriptClient = at("typescript-client.mjs");
export const pythonClient = at("python_client.py");
export const scimClient = at("scim_client.py");
export const frameworks = at("frameworks.py");
export const oauthClients = at("oauth_clients.mjs");
export const oauthClientsPython = at("oauth_clients.py");
