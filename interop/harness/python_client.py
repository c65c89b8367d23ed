"""The official Python client driven through what it can do, one check a line on standard output.

Run once straight at a server and once through the gateway, with the same checks: a check's value must be the same both
times. It refuses to know which of the two sides it is on.

usage: python_client.py '{"upstream": "everything"|"suite", "era": "legacy"|"auto", "target": {"url", "headers"} | {"command", "args"}}'
"""

import asyncio
import json
import re
import sys

import httpx2
import mcp_types as types
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

STEP_S_MAX = 8.0
CLOCK = re.compile(r"\d{1,2}:\d{2}:\d{2}( [AP]M)?")


async def sample(_context, params):
    said = params.messages[0].content.text
    return types.CreateMessageResult(
        role="assistant", model="scripted", content=types.TextContent(type="text", text=f"sampled: {said}")
    )


async def elicit(_context, params):
    if getattr(params, "mode", "form") == "url":
        return types.ElicitResult(action="accept")
    return types.ElicitResult(action="accept", content=answers(params.requested_schema))


async def roots(_context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///interop", name="interop")])


def answers(schema):
    content = {}
    for name, prop in schema["properties"].items():
        if "default" in prop:
            content[name] = prop["default"]
        elif "enum" in prop:
            content[name] = prop["enum"][0]
        elif "oneOf" in prop:
            content[name] = prop["oneOf"][0]["const"]
        elif prop.get("type") == "boolean":
            content[name] = True
        elif prop.get("type") in ("integer", "number"):
            content[name] = prop.get("minimum", 1)
        elif prop.get("type") == "string" and "format" not in prop:
            content[name] = "Ada"
    return content


class Session:
    def __init__(self, client, logs):
        self.client = client
        self.logs = logs

    async def call(self, name, arguments=None, **options):
        return plain(await self.client.call_tool(name, arguments or {}, **options))

    async def steps(self, name, arguments, count):
        """All steps but the last: one that arrives in one gulp with the result may be dropped by the client."""
        steps = []

        async def told(progress, total, message):
            steps.append([progress, total, message])

        result = await self.call(name, arguments, progress_callback=told)
        assert len(steps) >= count - 1, f"expected {count} steps, found {len(steps)}"
        return {"steps": steps[: count - 1], "texts": len(result["content"])}

    async def cancelled(self, name, arguments):
        began = asyncio.Event()

        async def told(*_):
            began.set()

        running = asyncio.create_task(self.call(name, arguments, progress_callback=told))
        await began.wait()
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            return "cancelled"
        raise AssertionError("expected a cancelled call, found a result")

    async def refused(self, name):
        try:
            result = await self.client.call_tool(name, {})
        except Exception:
            return "refused"
        assert result.is_error, "expected a refusal, found a result"
        return "refused"

    async def failure(self, uri):
        try:
            await self.client.read_resource(uri)
        except Exception as error:
            return str(error)
        raise AssertionError("expected an error, found a result")

    async def told_of_new_tools(self):
        async with self.client.listen(tools_list_changed=True) as told:
            await self.call("test_trigger_tool_change")
            async for event in told:
                return type(event).__name__

    async def logged(self, name):
        await self.call(name)
        assert self.logs, "expected a log message, found none"
        return self.logs[0]


def checks(session):
    client = session.client
    described = lambda: asyncio.sleep(0, [plain(client.server_info), plain(client.server_capabilities), client.instructions])
    everything = {
        "server-described": described,
        "call-text": lambda: session.call("echo", {"message": "zwölf \u2028 \U0001f510"}),
        "call-numbers": lambda: session.call("get-sum", {"a": 0.5, "b": 9007199254740990}),
        "call-image": lambda: session.call("get-tiny-image"),
        "call-structured": lambda: session.call("get-structured-content", {"location": "Chicago"}),
        "call-bad-arguments": lambda: session.call("get-sum", {"a": "not a number"}),
        "call-unknown-tool-refused": lambda: session.refused("no-such-tool"),
        "progress": lambda: session.steps("trigger-long-running-operation", {"duration": 0.4, "steps": 4}, 4),
        "cancellation": lambda: session.cancelled("trigger-long-running-operation", {"duration": 20, "steps": 100}),
        "call-after-cancellation": lambda: session.call("echo", {"message": "still here"}),
        "sampling": lambda: session.call("trigger-sampling-request", {"prompt": "say it", "maxTokens": 7}),
        "elicitation": lambda: session.call("trigger-elicitation-request"),
        "roots": lambda: session.call("get-roots-list"),
        "resources": lambda: listed(client.list_resources(), "resources"),
        "resource-templates": lambda: listed(client.list_resource_templates(), "resourceTemplates"),
        "resource-read": lambda: read(client.read_resource("demo://resource/static/document/features.md")),
        "resource-read-missing": lambda: session.failure("demo://resource/nowhere"),
        "prompts": lambda: listed(client.list_prompts(), "prompts"),
        "prompt-with-arguments": lambda: read(client.get_prompt("args-prompt", {"city": "Köln"})),
        "completion": lambda: read(
            client.complete(
                types.PromptReference(type="ref/prompt", name="completable-prompt"),
                {"name": "name", "value": ""},
                context_arguments={"department": "Sales"},
            )
        ),
        "tools-listed": lambda: listed(client.list_tools(), "tools"),
    }
    suite = {
        "server-described": described,
        "tools-listed": lambda: listed(client.list_tools(), "tools"),
        "call-text": lambda: session.call("test_simple_text"),
        "call-mixed": lambda: session.call("test_multiple_content_types"),
        "call-error": lambda: session.call("test_error_handling"),
        "call-header-argument": lambda: session.call("test_x_mcp_header", {"region": "eu-Straße", "query": "q"}),
        "progress": lambda: session.steps("test_tool_with_progress", {}, 3),
        "logging": lambda: session.logged("test_tool_with_logging"),
        "input-elicitation": lambda: session.call("test_input_required_result_elicitation"),
        "input-sampling": lambda: session.call("test_input_required_result_sampling"),
        "input-roots": lambda: session.call("test_input_required_result_list_roots"),
        "input-many-rounds": lambda: session.call("test_input_required_result_multi_round"),
        "subscription-to-lists": session.told_of_new_tools,
        "resource-read": lambda: read(client.read_resource("test://static-text")),
        "resource-read-missing": lambda: session.failure("test://nowhere"),
        "prompt-with-arguments": lambda: read(client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "ß"})),
    }
    return {"everything": everything, "suite": suite}


async def listed(listing, member):
    return sorted(plain(await listing)[member], key=lambda entry: entry["name"])


async def read(reading):
    return plain(await reading)


def plain(value):
    """What came over the wire, without the time of day, the one thing that may differ."""
    if value is None:
        return None
    dumped = value.model_dump_json(by_alias=True, exclude_none=True)
    return json.loads(CLOCK.sub("TIME", dumped))


async def main():
    job = json.loads(sys.argv[1])
    target, era = job["target"], job["era"]
    logs = []

    async def log(params):
        logs.append([params.level, params.data])

    async with httpx2.AsyncClient(headers=target.get("headers") or {}, timeout=STEP_S_MAX) as http:
        if "url" in target:
            server = streamable_http_client(target["url"], http_client=http)
        else:
            server = StdioServerParameters(command=target["command"], args=target["args"])
        client = Client(
            server,
            mode=era,
            sampling_callback=sample,
            elicitation_callback=elicit,
            list_roots_callback=roots,
            logging_callback=log,
            log_level="debug" if era == "auto" and job["upstream"] == "suite" else None,
        )
        async with asyncio.timeout(STEP_S_MAX):
            await client.__aenter__()
        say("connected", client.protocol_version)
        if job["upstream"] == "everything":
            # This server adds tools once it has learned what the client can do, and asks for the roots first.
            await asyncio.sleep(0.6)
        for name, check in checks(Session(client, logs))[job["upstream"]].items():
            try:
                async with asyncio.timeout(STEP_S_MAX):
                    say(name, await check())
            except Exception as error:
                print(json.dumps({"id": name, "passed": False, "detail": f"{type(error).__name__}: {error}"[:300]}), flush=True)
        await client.__aexit__(None, None, None)
        say("closed", None)


def say(name, value):
    print(json.dumps({"id": name, "passed": True, "value": value}), flush=True)


asyncio.run(main())
