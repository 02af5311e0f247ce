"""Stands in for vLLM: `python fake_server.py PORT MODEL BEHAVIOUR`, with a child process as vLLM has.

Behaviours: `serve`; `die` with words and code 3; `mute`, never listening; `other`, serving another model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

port, model, behaviour = int(sys.argv[1]), sys.argv[2], sys.argv[3]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == f"Bearer {os.environ['VLLM_API_KEY']}"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        served = model if behaviour == "serve" else "another"
        self.wfile.write(json.dumps({"data": [{"id": served}]}).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pids = os.environ.get("FAKE_SERVER_PIDS")
if pids:
    draft = Path(f"{pids}.draft")
    draft.write_text(f"{os.getppid()} {os.getpid()} {child.pid}")
    draft.rename(pids)
if behaviour == "die":
    print("loading the model")
    print("RuntimeError: not enough memory")
    sys.stdout.flush()
    os._exit(3)
if behaviour == "mute":
    time.sleep(600)
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
