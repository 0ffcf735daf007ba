"""An OpenAI-compatible endpoint on the loopback interface, as strict as the real one, for tests with the real client.

It answers chat completions with what a test makes the model say, breaks where a test tells it to, and keeps every request.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

import jsonschema
from aiohttp import web

from .overheard import SECRETS

Json = dict[str, Any]

KEY = "sk-loopback-0123456789abcdefghijklmnop"
MODEL = "loopback-1"

PARAMETERS = frozenset(
    """model messages tools tool_choice response_format temperature top_p n stop max_tokens max_completion_tokens seed stream user
    parallel_tool_calls presence_penalty frequency_penalty logit_bias logprobs top_logprobs reasoning_effort""".split()  # noqa: SIM905
)
"""What a request may hold."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Way(StrEnum):
    """How the next request is answered."""

    WELL = "well-formed"
    MALFORMED = "JSON that breaks off"
    MISSHAPEN = "JSON of another shape"
    FENCED = "JSON in a Markdown fence, as text"
    PROSE = "prose, as text"
    SLOW = "only when `go` is set"
    RATE = "429 with Retry-After"
    DENIED = "401"
    BROKEN = "500"
    PAGE = "200 with a web page"
    CUT = "the connection breaks in the middle of the body"
    SHORT = "stopped for its length in the middle of the answer"
    REFUSED = "the model refuses"
    NOTHING = "no choices"


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was taken: its headers in lower case, its body, and how it was answered."""

    headers: dict[str, str]
    body: Json
    way: Way

    @property
    def text(self) -> str:
        """Everything that the model was told, schemas not included."""
        return "\n".join(_content(message) for message in self.body["messages"])

    @property
    def user(self) -> str:
        """What the first message of the user says."""
        return next(_content(message) for message in self.body["messages"] if message["role"] == "user")


class Bad(Exception):
    """A request that the endpoint refuses, with its status and error body."""

    def __init__(self, status: int, message: str, kind: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _invalid(message: str, param: str) -> Bad:
    return Bad(400, message, "invalid_request_error", None, param)


class ChatServer:
    """The endpoint. Give `url` to the client as its base URL.

    `say` is the model: from a request to the object that it answers with. `ways` are how the next requests are answered;
    when they are used up, `otherwise`. A slow answer waits until `go` is set; `held` counts those that wait. `retry_after` is
    what a 429 asks for, in seconds. `refuses` are parameters that this server does not know ("tools", "response_format").
    """

    def __init__(self, say: Callable[[Request], Json], *, key: str = KEY, models: frozenset[str] = frozenset({MODEL})) -> None:
        self.say = say
        self.key = key
        SECRETS.token(key)
        self.models = models
        self.ways: deque[Way] = deque()
        self.otherwise = Way.WELL
        self.retry_after: str | None = "7"
        self.refuses: frozenset[str] = frozenset()
        self.requests: list[Request] = []
        self.refused: list[Json] = []
        self.go = asyncio.Event()
        self.held = 0
        self.left = 0
        self.changed = asyncio.Condition()
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.go.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def until(self, done: Callable[[ChatServer], bool]) -> None:
        """Waits until `done` holds of this server."""
        async with self.changed:
            await self.changed.wait_for(lambda: done(self))

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        way = self.ways.popleft() if self.ways else self.otherwise
        try:
            self._authorise(http)
            body = await _read(http)
            self._check(body)
            request = Request({name.lower(): value for name, value in http.headers.items()}, body, way)
            self.requests.append(request)
            await self._notify()
            self._fail(way)
        except Bad as bad:
            self.refused.append(bad.body["error"])
            headers = {"Retry-After": self.retry_after} if bad.status == 429 and self.retry_after else {}
            return web.json_response(bad.body, status=bad.status, headers=headers)
        if way is Way.SLOW:
            await self._hold()
        if way is Way.PAGE:
            return web.Response(text="<html><body>Sign in to the network</body></html>", content_type="text/html")
        answer = self._answer(request)
        return await _cut(http, answer) if way is Way.CUT else web.json_response(answer)

    async def _hold(self) -> None:
        self.held += 1
        await self._notify()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.left += 1
            await asyncio.shield(self._notify())
            raise
        finally:
            self.held -= 1

    def _authorise(self, http: web.Request) -> None:
        if http.headers.get("Authorization") != f"Bearer {self.key}":
            given = http.headers.get("Authorization", "").removeprefix("Bearer ")
            raise Bad(401, f"Incorrect API key provided: {given}.", "invalid_request_error", "invalid_api_key")

    def _fail(self, way: Way) -> None:
        match way:
            case Way.RATE:
                raise Bad(429, "Rate limit reached for requests", "requests", "rate_limit_exceeded")
            case Way.DENIED:
                raise Bad(401, f"Incorrect API key provided: {self.key}.", "invalid_request_error", "invalid_api_key")
            case Way.BROKEN:
                raise Bad(500, "The server had an error while processing your request", "server_error")

    def _check(self, body: Json) -> None:
        for name in body:
            if name not in PARAMETERS or name in self.refuses:
                raise _invalid(f"Unrecognized request argument supplied: {name}", name)
        if not isinstance(body.get("model"), str):
            raise _invalid("you must provide a model parameter", "model")
        if body["model"] not in self.models:
            raise Bad(404, f"The model `{body['model']}` does not exist", "invalid_request_error", "model_not_found")
        if body.get("stream"):
            raise _invalid("this endpoint does not stream", "stream")
        if not 0 <= body.get("temperature", 1) <= 2:
            raise _invalid("temperature is between 0 and 2", "temperature")
        _check_messages(body.get("messages"))
        _check_tools(body)
        _check_format(body.get("response_format"))

    def _answer(self, request: Request) -> Json:
        said = self.say(request)
        schema = _schema(request.body)
        if schema is not None and request.way in (Way.WELL, Way.SLOW):
            jsonschema.Draft202012Validator(schema).validate(said)  # a well-formed answer keeps to what was asked for
        text = json.dumps(said)
        match request.way:
            case Way.MALFORMED | Way.SHORT:
                text = text[: len(text) // 2]
            case Way.MISSHAPEN:
                text = json.dumps({"score": 100, "verdict": "excellent"})
            case Way.FENCED:
                text = f"```json\n{text}\n```"
            case Way.PROSE:
                text = "This is an excellent reply and I would give it full marks."
        message: Json = {"role": "assistant", "content": text, "refusal": None}
        finish = "stop"
        if request.way is Way.REFUSED:
            message |= {"content": None, "refusal": "I can't help with that."}
        elif request.body.get("tools") and request.way not in (Way.FENCED, Way.PROSE):
            name = request.body["tools"][0]["function"]["name"]
            call = {"id": f"call_{len(self.requests)}", "type": "function", "function": {"name": name, "arguments": text}}
            message |= {"content": None, "tool_calls": [call]}
            finish = "tool_calls"
        if request.way is Way.SHORT:
            finish = "length"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return {
            "id": f"chatcmpl-{len(self.requests)}", "object": "chat.completion", "created": 1_750_000_000,
            "model": request.body["model"], "choices": [] if request.way is Way.NOTHING else [choice],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }  # fmt: skip


async def _read(http: web.Request) -> Json:
    if http.content_type != "application/json":
        raise _invalid("the content type is application/json", "body")
    try:
        body = await http.json()
    except ValueError:
        raise _invalid("We could not parse the JSON body of your request.", "body") from None
    if not isinstance(body, dict):
        raise _invalid("the body is an object", "body")
    return body


async def _cut(http: web.Request, answer: Json) -> web.StreamResponse:
    whole = json.dumps(answer).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(whole))})
    await response.prepare(http)
    await response.write(whole[: len(whole) // 2])
    assert http.transport is not None
    http.transport.close()
    return response


# ---------------------------------------------------------------------------------------------- what a request may look like


def _content(message: Json) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _check_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise _invalid("messages is a list of at least one message", "messages")
    called: set[str] = set()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict) or message.get("role") not in ("system", "developer", "user", "assistant", "tool"):
            raise _invalid("unknown role", where)
        calls = message.get("tool_calls")
        if calls is not None:
            if message["role"] != "assistant" or not calls:
                raise _invalid("only an assistant calls tools", where)
            for call in calls:
                if call.get("type") != "function" or not isinstance(call["function"].get("arguments"), str):
                    raise _invalid("a tool call has a function with a name and arguments as text", where)
                called.add(call["id"])
        elif not isinstance(message.get("content"), str | list) or not all(_is_text(part) for part in _parts(message)):
            raise _invalid("content is text or a list of texts", where)
        if message["role"] == "tool":
            if message.get("tool_call_id") not in called:
                raise _invalid("messages with role 'tool' must be a response to a preceding message with 'tool_calls'", where)
            called.discard(message["tool_call_id"])
        elif called and calls is None:
            raise _invalid(f"these tool calls have no response: {sorted(called)}", where)
    if called:
        raise _invalid(f"these tool calls have no response: {sorted(called)}", "messages")


def _parts(message: Json) -> list[Any]:
    content = message["content"]
    return content if isinstance(content, list) else []


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _check_tools(body: Json) -> None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    if tools is None:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None:
                raise _invalid(f"'{name}' is only allowed when 'tools' are specified.", name)
        return
    if not isinstance(tools, list) or not tools:
        raise _invalid("tools is a list of at least one tool", "tools")
    names = set()
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict) or not _NAME.fullmatch(str(function.get("name"))):
            raise _invalid("a tool is a function with a name", f"tools[{index}]")
        _check_schema(function.get("parameters", {"type": "object"}), f"tools[{index}].function.parameters")
        names.add(function["name"])
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    if named not in names if named else choice not in (None, "auto", "none", "required"):
        raise _invalid("tool_choice is auto, none, required or one of the tools", "tool_choice")


def _check_format(wanted: Any) -> None:
    if wanted is None:
        return
    if not isinstance(wanted, dict) or wanted.get("type") not in ("text", "json_object", "json_schema"):
        raise _invalid("response_format has a type", "response_format")
    if wanted["type"] == "json_schema":
        given = wanted.get("json_schema")
        if not isinstance(given, dict) or not _NAME.fullmatch(str(given.get("name"))):
            raise _invalid("a schema has a name", "response_format.json_schema.name")
        _check_schema(given.get("schema"), "response_format.json_schema.schema")
        if given.get("strict"):
            _check_strict(given["schema"])


def _check_schema(schema: Any, where: str) -> None:
    fault = _fault(json.dumps(schema))
    if fault:
        raise _invalid(f"Invalid schema: {fault}", where)
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise _invalid("schema must be of type 'object'", where)


@lru_cache(maxsize=100)
def _fault(schema: str) -> str:
    try:
        jsonschema.Draft202012Validator.check_schema(json.loads(schema))
    except jsonschema.SchemaError as error:
        return str(error.message)
    return ""


def _check_strict(schema: Json) -> None:
    """In strict mode every object names all its properties as required, and allows no other."""
    for one in _objects(schema):
        if one.get("additionalProperties") is not False or set(one.get("required", ())) != set(one.get("properties", {})):
            raise _invalid("a strict schema requires all properties and forbids others", "response_format.json_schema.schema")


def _objects(schema: Any) -> Iterator[Json]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from _objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _objects(value)


def _schema(body: Json) -> Json | None:
    """What the answer has to keep to, where the request says it in the protocol's own words."""
    if body.get("tools"):
        parameters: Json = body["tools"][0]["function"].get("parameters", {})
        return parameters
    wanted = body.get("response_format") or {}
    return wanted["json_schema"]["schema"] if wanted.get("type") == "json_schema" else None
