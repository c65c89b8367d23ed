"""Agents of two frameworks with a scripted model: what the model is told when a tool answers, fails or is refused.

The model here calls the tools that the script names, one after the other, and keeps every word it is given back.
It refuses to know which side it is on; a refusal expected only behind a gateway is named by the caller.

usage: frameworks.py '{"framework": "pydantic-ai"|"openai-agents", "target": {"url", "headers"}, "refused": {"tool", "text"} | null}'
"""

import asyncio
import json
import sys

RUN_S_MAX = 20.0
ALLOWED, FAILING = "test_simple_text", "test_error_handling"
DONE = "all tools were tried"


async def pydantic_ai(target, script, told):
    from pydantic_ai import Agent
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.messages import ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    def model(messages, info):
        offered = {tool.name for tool in info.function_tools}
        answers = [
            part
            for message in messages
            for part in message.parts
            if isinstance(part, ToolReturnPart | RetryPromptPart) and part.tool_name
        ]
        for part in answers[len(told) :]:
            told.append(part.model_response() if isinstance(part, RetryPromptPart) else part.model_response_str())
        if len(answers) == len(script):
            return ModelResponse(parts=[TextPart(DONE)])
        tool = script[len(answers)]
        assert tool in offered, f"the tool `{tool}` was not offered to the model"
        return ModelResponse(parts=[ToolCallPart(tool, {})])

    toolset = MCPToolset(target["url"], headers=target.get("headers") or {}, max_retries=5)
    agent = Agent(FunctionModel(model), toolsets=[toolset])
    async with agent:
        return (await agent.run("try every tool")).output


async def openai_agents(target, script, told):
    from agents import Agent, ModelResponse, RunConfig, Runner, Usage
    from agents.mcp import MCPServerStreamableHttp
    from agents.models.interface import Model
    from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

    class Scripted(Model):
        async def get_response(self, system_instructions, input, model_settings, tools, *_, **__):
            offered = {tool.name for tool in tools}
            answers = [item for item in input if isinstance(item, dict) and item.get("type") == "function_call_output"]
            for item in answers[len(told) :]:
                told.append(item["output"] if isinstance(item["output"], str) else json.dumps(item["output"]))
            if len(answers) == len(script):
                text = ResponseOutputText(type="output_text", text=DONE, annotations=[])
                said = ResponseOutputMessage(id="m", type="message", role="assistant", status="completed", content=[text])
                return ModelResponse(output=[said], usage=Usage(), response_id=None)
            tool = script[len(answers)]
            assert tool in offered, f"the tool `{tool}` was not offered to the model"
            call = ResponseFunctionToolCall(
                type="function_call", call_id=f"call-{len(answers)}", name=tool, arguments="{}"
            )
            return ModelResponse(output=[call], usage=Usage(), response_id=None)

        def stream_response(self, *_, **__):
            raise NotImplementedError("the script does not stream")

    params = {"url": target["url"], "headers": target.get("headers") or {}}
    async with MCPServerStreamableHttp(params=params) as server:
        agent = Agent(name="interop", model=Scripted(), mcp_servers=[server])
        result = await Runner.run(agent, "try every tool", run_config=RunConfig(tracing_disabled=True))
        return result.final_output


async def main():
    job = json.loads(sys.argv[1])
    refused = job.get("refused")
    script = [ALLOWED, FAILING] + ([refused["tool"]] if refused else []) + [ALLOWED]
    told = []
    output, failure = None, None
    try:
        async with asyncio.timeout(RUN_S_MAX):
            output = await {"pydantic-ai": pydantic_ai, "openai-agents": openai_agents}[job["framework"]](job["target"], script, told)
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    answers = dict(enumerate(told))
    contains("result-reaches-the-model", answers.get(0), "simple text response", failure)
    contains("tool-error-reaches-the-model-as-text", answers.get(1), "intentionally returns an error", failure)
    if refused:
        contains("refusal-reaches-the-model-as-text", answers.get(2), refused["text"], failure)
    contains("run-goes-on-after-it", answers.get(len(script) - 1), "simple text response", failure)
    contains("run-ends", output, DONE, failure)


def contains(check, found, expected, failure):
    passed = found is not None and expected in found
    detail = None if passed else f"expected `{expected}` in {found!r}" + (f"; the run ended with {failure}" if failure else "")
    print(json.dumps({"id": check, "passed": passed, "detail": detail, "value": None}), flush=True)


asyncio.run(main())
