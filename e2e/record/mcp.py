# An MCP server over stdio with three tools and a resource, for recordings.
import json, sys

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
TOOLS = [
    {"name": "echo", "description": "says it again", "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}}},
    {"name": "picture", "description": "shows a dot", "inputSchema": {"type": "object", "properties": {}}},
    {"name": "fail", "description": "fails", "inputSchema": {"type": "object", "properties": {}}},
]


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def call(params):
    token = params.get("_meta", {}).get("progressToken")
    if token is not None:
        send({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1, "total": 2, "message": "half way"}})
    if params["name"] == "echo":
        text = params.get("arguments", {}).get("text", "")
        return {"content": [{"type": "text", "text": text}], "structuredContent": {"text": text}}
    if params["name"] == "picture":
        return {"content": [{"type": "text", "text": "a dot"}, {"type": "image", "data": DOT, "mimeType": "image/png"}]}
    return {"content": [{"type": "text", "text": "it failed"}], "isError": True}


def answer(method, params):
    if method == "initialize":
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}, "resources": {}}, "serverInfo": {"name": "mock", "version": "1"}}
    if method == "tools/list":
        return {"tools": TOOLS}
    if method == "tools/call":
        return call(params)
    if method == "resources/list":
        return {"resources": [{"uri": "mock://note", "name": "note"}]}
    if method == "resources/templates/list":
        return {"resourceTemplates": []}
    return {}


for line in sys.stdin:
    request = json.loads(line)
    if "id" in request and "method" in request:
        send({"id": request["id"], "result": answer(request["method"], request.get("params") or {})})
