# Calls the MCP server of the bottle that this runs in with the official Python SDK's client, by the protocol's handshake of
# old and by its newest form. Prints a line of JSON for each step.

import asyncio
import json

from mcp import Client

URL = "http://supervise.bottle/mcp"


def say(mode, step, what):
    print(json.dumps({"mode": mode, "step": step, "what": what}), flush=True)


async def call(client, mode, step, tool, arguments):
    progress = []

    async def heard(count, total, message):
        progress.append(message)

    result = await client.call_tool(tool, arguments, progress_callback=heard)
    text = result.content[0].text
    say(mode, step, {"failed": result.is_error, "text": text, "progress": progress[:1]})


async def main():
    for mode in ["legacy", "auto"]:
        async with Client(URL, mode=mode) as client:
            tools = (await client.list_tools()).tools
            say(mode, "tools", {tool.name: sorted(tool.input_schema["properties"]) for tool in tools})
            await call(client, mode, "routes", "list_egress_routes", {})
            await call(client, mode, "wrong", "egress_block", {"url": "http://10.0.0.1/", "reason": "none"})
            asked = {"url": f"https://{mode}.example.org/x", "reason": "the test"}
            await call(client, mode, "asked", "egress_block", asked)
            await call(client, mode, "status", "proposal_status", {})
    say("all", "ended", True)


asyncio.run(main())
