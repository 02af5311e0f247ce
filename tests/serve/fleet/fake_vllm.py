"""Stands in for vLLM: `python fake_vllm.py PORT MODEL CONTROL`, with adapters to be loaded and log-probabilities.

CONTROL is a folder: the server writes its process id to `pid-PORT`, and what it is asked to `events`, one a line. Files
in it change what it does: `silent`, adapters are loaded and the base model is served; `sick`, it says it is not
healthy; `die`, it ends before it listens; `refuse`, it loads no adapter.
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

port, model, control = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
loaded: set[str] = set()


def number(token: int, adapted: bool) -> float:
    """Log-probability of a token; the tests write probes by the same rule."""
    base = -1 - token % 5 / 10
    return base + (0.5 + token % 3 / 10 if adapted else 0.0)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/health":
            return self.answer(503 if (control / "sick").exists() else 200, {})
        if self.path == "/v1/models" and self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}":
            return self.answer(200, {"data": [{"id": it} for it in (model, *sorted(loaded))]})
        return self.answer(404, {})

    def do_POST(self) -> None:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/load_lora_adapter":
            name = body["lora_name"]
            self.note(f"load {name} {Path(body['lora_path']).name}")
            if (control / "refuse").exists():
                return self.answer(400, {"error": {"message": "no room"}})
            loaded.add(name)
            return self.answer(200, {})
        if self.path == "/v1/unload_lora_adapter":
            self.note(f"unload {body['lora_name']}")
            known = body["lora_name"] in loaded
            loaded.discard(body["lora_name"])
            return self.answer(200 if known else 404, {})
        if body["model"] not in (model, *loaded):
            return self.answer(404, {"error": {"message": "no such model"}})
        if "prompt_logprobs" not in body:
            return self.answer(200, {"choices": [{"text": "…"}]})
        adapted = (body["model"] in loaded or "+" in model) and not (control / "silent").exists()
        scored = [{str(it): {"logprob": number(it, adapted)}} for it in body["prompt"]]
        return self.answer(200, {"choices": [{"prompt_logprobs": [None, *scored[1:]]}]})

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def note(self, what: str) -> None:
        with (control / "events").open("a") as file:
            file.write(f"{model} {what}\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    if (control / "die").exists():
        sys.exit("RuntimeError: not enough memory")
    draft = control / f".pid-{port}"
    draft.write_text(str(os.getpid()))
    draft.rename(control / f"pid-{port}")
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
