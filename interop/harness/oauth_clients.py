"""The official Python client and authlib, logged in at the authorization server: one check a line on standard output.

usage: oauth_clients.py '{"client": "python-sdk"|"authlib"|"authlib-mutual-tls", "url": MCP, "issuer": URL, "person": {"name", "password"}, "robot": {JWK}}'
"""

import asyncio
import json
import re
import sys
import time
from urllib.parse import parse_qs, urljoin, urlparse

import httpx2
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

REDIRECT = "http://127.0.0.1:53211/callback"
STEP_S_MAX = 20.0


def report(check, passed, detail=""):
    print(json.dumps({"id": check, "passed": bool(passed), "detail": str(detail)[:500]}), flush=True)


class Person:
    """Signs in, reads the page, says yes, as a browser does."""

    def __init__(self, name, password):
        self.name, self.password, self.page = name, password, ""

    def agree(self, authorize):
        origin = "{0.scheme}://{0.netloc}".format(urlparse(authorize))
        ours = {"origin": origin, "sec-fetch-site": "same-origin"}
        with httpx2.Client(timeout=STEP_S_MAX) as browser:
            page = browser.get(urljoin(origin, browser.get(authorize).headers["location"]))
            form = {**hidden(page.text), "name": self.name, "password": self.password}
            entered = browser.post(origin + "/oauth/sign-in", data=form, headers=ours)
            self.page = browser.get(urljoin(origin, entered.headers["location"])).text
            ticked = re.findall(r'name="(effect\.\w+)" value="yes" checked', self.page)
            form = {**hidden(self.page), **dict.fromkeys(ticked, "yes"), "purpose": "interop", "lease": "900000", "answer": "yes"}
            return browser.post(origin + "/oauth/consent", data=form, headers=ours).headers["location"]


def hidden(page):
    return dict(re.findall(r'name="(request|csrf)" value="([^"]*)"', page))


class Kept:
    """What the SDK wants stored."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def python_sdk(job):
    person, kept, sent = Person(**job["person"]), Kept(), []

    async def callback():
        back = await asyncio.to_thread(person.agree, sent[-1])
        query = {name: values[0] for name, values in parse_qs(urlparse(back).query).items()}
        return AuthorizationCodeResult(code=query["code"], state=query["state"], iss=query["iss"])

    async def redirect(url):
        sent.append(url)

    metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=[REDIRECT], token_endpoint_auth_method="none")
    auth = OAuthClientProvider(job["url"], metadata, kept, redirect, callback)
    async with httpx2.AsyncClient(auth=auth, timeout=STEP_S_MAX) as http:
        async with Client(streamable_http_client(job["url"], http_client=http)) as client:
            report("logs-in-by-itself", len(sent) == 1 and kept.tokens is not None, sent)
            report("registered-itself-and-people-were-told", "registered itself" in person.page)
            result = await client.call_tool("echo", {"message": "hello"})
            report("calls-a-tool", "hello" in result.content[0].text, result)
    before = kept.tokens
    # The same provider, because a new one does not know where tokens are refreshed until it was refused once.
    auth.context.token_expiry_time = 1.0
    async with httpx2.AsyncClient(auth=auth, timeout=STEP_S_MAX) as http:
        async with Client(streamable_http_client(job["url"], http_client=http)) as client:
            await client.call_tool("echo", {"message": "again"})
    report("refreshes", kept.tokens.refresh_token != before.refresh_token and len(sent) == 1, sent)


async def authlib(job):
    metadata = httpx2.get(job["issuer"] + "/.well-known/oauth-authorization-server").json()
    person = Person(**job["person"])
    session = OAuth2Session("desk", redirect_uri=REDIRECT, scope="read compute", code_challenge_method="S256", token_endpoint_auth_method="none")
    verifier = "a-verifier-of-at-least-forty-three-characters-0123456789"
    url, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, resource=job["url"])
    back = person.agree(url)
    token = session.fetch_token(metadata["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier)
    report("logs-in", token["token_type"] == "Bearer" and token["scope"] == "read compute", token.get("scope"))
    rpc = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"accept": "application/json, text/event-stream"}
    initialize = {**rpc, "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}}
    answer = session.post(job["url"], json=initialize, headers=headers)
    report("is-let-in", answer.status_code == 200, answer.text)
    fresh = session.refresh_token(metadata["token_endpoint"], refresh_token=token["refresh_token"])
    report("refreshes", fresh["refresh_token"] != token["refresh_token"])
    answer = session.revoke_token(metadata["revocation_endpoint"], token=fresh["refresh_token"])
    report("revokes", answer.status_code == 200, answer.text)
    answer = session.post(job["url"], json=initialize, headers=headers)
    report("nothing-is-left-of-it", answer.status_code == 401, answer.text)

    # It names the token endpoint in its assertions, which is agreed for this client, and would make them good for an hour.
    key = ECKey.import_key(job["robot"])
    robot = OAuth2Session("pyrobot", key, token_endpoint_auth_method="private_key_jwt", scope="read compute")
    soon = {"exp": int(time.time()) + 60}
    robot.register_client_auth_method(PrivateKeyJWT(metadata["token_endpoint"], claims=soon, alg="ES256"))
    token = robot.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    report("client-credentials-with-a-key", token["token_type"] == "Bearer", token.get("scope"))


async def authlib_mutual_tls(job):
    files = job["certificates"]["files"]
    session = OAuth2Session("mutual", token_endpoint_auth_method="none", scope="read compute")
    # A bundle of authorities that the environment names would count in place of ours.
    session.trust_env, session.verify, session.cert = False, files["ca"], tuple(files["own"])
    metadata = session.get(job["issuer"] + "/.well-known/oauth-authorization-server", withhold_token=True).json()
    token = session.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    report("client-credentials-with-a-certificate", token["token_type"] == "Bearer", token.get("scope"))
    headers = {"accept": "application/json, text/event-stream"}
    asked = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    initialize = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": asked}
    answer = session.post(job["url"], json=initialize, headers=headers)
    report("is-let-in", answer.status_code == 200, answer.text)
    thief = OAuth2Session("mutual", token=token)
    thief.trust_env, thief.verify = False, files["ca"]
    answer = thief.post(job["url"], json=initialize, headers=headers)
    report("a-stolen-token-is-refused", answer.status_code == 401, answer.text)


async def main():
    job = json.loads(sys.argv[1])
    run = {"python-sdk": python_sdk, "authlib": authlib, "authlib-mutual-tls": authlib_mutual_tls}[job["client"]]
    try:
        await run(job)
    except Exception as error:  # noqa: BLE001: whatever it is, it is a failed check
        report("runs-to-its-end", False, f"{type(error).__name__}: {error}")
    else:
        report("runs-to-its-end", True)


asyncio.run(main())
