"""Stands in for vLLM, with adapters to be loaded and log-probabilities: within this process, or as one of its own.

`python fake_vllm.py PORT MODEL FOLDER`: the server writes its process id to `FOLDER/pid-PORT`, and ends before it
listens where `FOLDER/die` is there.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def number(token: int, adapted: bool) -> float:
    """Log-probability of a token; probes are made by the same rule."""
    return -1 - token % 5 / 10 + (0.5 + token % 3 / 10 if adapted else 0.0)


@dataclass
class Control:
    """How all stand-ins behave, and what they were asked."""

    silent: bool = False
    """Adapters are loaded, and the base model is served."""
    sick: bool = False
    """They say that they are not healthy."""
    refuse: bool = False
    """They load no adapter."""
    bare: bool = False
    """They know no way to load adapters."""
    no_numbers: bool = False
    """They give no log-probabilities."""
    die: bool = False
    """They do not come up."""
    room: int = 1 << 20
    """Tokens that they have for a prompt and its answer."""
    no_process: bool = False
    """The system starts no process for them."""
    events: list[str] = field(default_factory=list)


class FakeVllm:
    """One server; `key` opens it."""

    def __init__(self, model: str, key: str, control: Control) -> None:
        self._model, self._key, self._control = model, key, control
        self._loaded: set[str] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, port: int = 0) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, reuse_address=True)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            content = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = head[0].split()
            body = json.loads(content or b"{}")
            if path != "/health" and headers.get("authorization") != f"Bearer {self._key}":
                status, said = 401, "{}"
            else:
                status, said = self._answer(method, path, body)
            writer.write(
                f"HTTP/1.1 {status} .\r\nConnection: close\r\nContent-Length: {len(said)}\r\n\r\n{said}".encode()
            )
            await writer.drain()
        writer.close()

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, str]:
        match path:
            case "/health":
                return 503 if self._control.sick else 200, "{}"
            case "/v1/models":
                return 200, json.dumps({"data": [{"id": it} for it in (self._model, *sorted(self._loaded))]})
            case "/v1/load_lora_adapter":
                return self._load(body["lora_name"], Path(body["lora_path"]).name)
            case "/v1/unload_lora_adapter":
                self._note(f"unload {body['lora_name']}")
                known = body["lora_name"] in self._loaded
                self._loaded.discard(body["lora_name"])
                return 200 if known else 404, "{}"
            case "/tokenize":
                return 200, json.dumps({"tokens": [len(it["content"]) for it in body["messages"]]})
            case "/v1/completions" if self._control.no_numbers and "allowed_token_ids" in body:
                return 500, json.dumps({"error": {"message": "out of memory"}})
            case "/v1/completions" if (
                body.get("stream") and len(body["prompt"]) + body["max_tokens"] > self._control.room
            ):
                return 400, json.dumps({"error": {"message": "too long"}})
            case "/v1/completions" if body["model"] in (self._model, *self._loaded):
                return 200, self._written(body) if body.get("stream") else self._completion(body)
        return 404, json.dumps({"error": {"message": "no such model"}})

    def _load(self, name: str, folder: str) -> tuple[int, str]:
        self._note(f"load {name} {folder}")
        if self._control.bare:
            return 404, json.dumps({"detail": "Not Found"})
        if self._control.refuse:
            return 400, json.dumps({"error": {"message": "no room"}})
        self._loaded.add(name)
        return 200, "{}"

    def _completion(self, body: dict[str, Any]) -> str:
        if "allowed_token_ids" not in body:
            return json.dumps({"choices": [{"text": "..."}]})
        adapted = (body["model"] in self._loaded or "+" in self._model) and not self._control.silent
        (token,) = body["allowed_token_ids"]
        return json.dumps({"choices": [{"logprobs": {"token_logprobs": [number(token, adapted)]}}]})

    def _written(self, body: dict[str, Any]) -> str:
        (text,) = body["structured_outputs"]["choice"]
        self._note(f"write {body['model']} {body['prompt']} {text}")
        pieces: list[Any] = [{"choices": [{"text": word}]} for word in text.split()]
        pieces.append({"choices": [], "usage": {"completion_tokens": len(pieces)}})
        return "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"

    def _note(self, what: str) -> None:
        self._control.events.append(f"{self._model} {what}")


async def main(port: int, model: str, folder: Path) -> None:
    if (folder / "die").exists():
        sys.exit("RuntimeError: not enough memory")
    await FakeVllm(model, os.environ["VLLM_API_KEY"], Control()).listen(port)
    draft = folder / f".pid-{port}"
    draft.write_text(str(os.getpid()))
    draft.rename(folder / f"pid-{port}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
