"""A W&B server on loopback, as far as a run needs one.

It holds runs with their configuration and history (which is what resuming reads), files, artifacts
and saved views, and hands trials to an agent. It can be slow, refuse, or be busy for a while. What
it does not know it answers with nothing, as the client allows for.
"""

import base64
import gzip
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from commands import MAX_SECONDS


class State:
    """What was sent to the server, and how it behaves.

    ``runs[(project, id)]`` holds ``history`` (a mapping per line), ``summary``, ``config`` and
    ``exit``; ``requests`` the names of the operations, in order.
    """

    def __init__(self) -> None:
        self.address = ""
        self.delay = 0.0
        """Seconds before every answer."""
        self.answering = threading.Event()
        """Cleared while the server takes requests and gives no answer."""
        self.answering.set()
        self.status = 200
        """HTTP status of every answer."""
        self.busy = 0
        """Requests that are still to be refused with 429."""
        self.changed = threading.Condition()
        """Held while a request is served, and notified after it."""
        self.requests: list[str] = []
        self.runs: dict[tuple[str, str], dict] = {}
        self.files: dict[str, bytes] = {}
        self.views: dict[str, dict] = {}
        self.keys: set[str] = set()
        """Authorization headers that were seen."""
        self.sweep = ""
        """Configuration of the agent's sweep."""
        self.trials: list[dict] = []
        """Commands for the agent, the next one first."""

    def wait_until(self, condition: Callable[[], bool], seconds: float = MAX_SECONDS) -> None:
        """Wait for requests until ``condition`` holds."""
        with self.changed:
            assert self.changed.wait_for(condition, seconds), self.requests

    def count(self, operation: str) -> int:
        return self.requests.count(operation)

    def run(self, project: str, name: str) -> dict:
        return self.runs.setdefault(
            (project, name),
            {"lines": {}, "history": {}, "starts": 0, "summary": {}, "config": {}, "exit": None},
        )

    def graphql(self, query: str, variables: dict) -> dict:
        match = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = match[1] if match else ""
        self.requests.append(operation)
        handle = getattr(self, f"on_{operation}", lambda _: {})
        return {"data": handle(variables)}

    def on_Viewer(self, _: dict) -> dict:
        return {
            "viewer": {
                "id": "u",
                "entity": "me",
                "username": "me",
                "name": "me",
                "email": "",
                "admin": False,
                "flags": "{}",
                "deletedAt": None,
                "apiKeys": {"edges": []},
                "teams": {"edges": []},
            }
        }

    on_GetDefaultEntity = on_Viewer

    def _bucket(self, project: str, name: str) -> dict:
        run = self.run(project, name)
        lines = [json.dumps(run["history"][i]) for i in sorted(run["history"])]
        return {
            "id": f"{project}/{name}",
            "name": name,
            "displayName": run.get("displayName"),
            "description": None,
            "sweepName": None,
            "project": {"id": project, "name": project, "entity": {"id": "me", "name": "me"}},
            "config": json.dumps(run["config"]),
            "summaryMetrics": json.dumps(run["summary"]),
            "historyLineCount": len(lines),
            "historyTail": json.dumps(lines[-1:]),
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
            "tags": run.get("tags"),
            "notes": None,
            "wandbConfig": json.dumps({"t": {"1": []}}) if run["config"] else None,
        }

    def on_RunResumeStatus(self, variables: dict) -> dict:
        known = (variables["project"], variables["name"]) in self.runs
        bucket = self._bucket(variables["project"], variables["name"]) if known else None
        return {
            "model": {
                "id": variables["project"],
                "name": variables["project"],
                "entity": {"id": "me", "name": "me"},
                "bucket": bucket,
            }
        }

    def on_UpsertBucket(self, variables: dict) -> dict:
        run = self.run(variables["project"], variables["name"])
        run["starts"] += 1
        for key, value in variables.items():
            if value is not None and key != "config":
                run[key] = value
        run["config"] = json.loads(variables.get("config") or "{}")
        return {
            "upsertBucket": {
                "bucket": self._bucket(variables["project"], variables["name"]),
                "inserted": run["starts"] == 1,
            }
        }

    def on_CreateRunFiles(self, variables: dict) -> dict:
        folder = f"{self.address}/storage/{variables['project']}/{variables['run']}"
        files = [{"name": name, "uploadUrl": f"{folder}/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def on_ArtifactType(self, variables: dict) -> dict:
        kind = "code" if variables["name"].startswith("code") else "run_table"
        return {"project": {"artifact": {"artifactType": {"name": kind}}}}

    def on_CreateArtifact(self, variables: dict) -> dict:
        return {
            "createArtifact": {
                "artifact": {
                    "id": uuid.uuid4().hex,
                    "state": "COMMITTED",
                    "artifactSequence": {"id": "s", "latestArtifact": None},
                }
            }
        }

    def on_UpsertView2(self, variables: dict) -> dict:
        new_key = base64.b64encode(f"View:{len(self.views)}".encode()).decode()
        key = variables.get("id") or new_key
        view = self.views.setdefault(key, {})
        view.update({name: value for name, value in variables.items() if value is not None})
        view["id"] = key
        return {"upsertView": {"view": self._view(view), "inserted": True}}

    on_upsertView = on_UpsertView2

    def _view(self, view: dict) -> dict:
        project = {
            "id": view["projectName"],
            "name": view["projectName"],
            "entityName": view["entityName"],
        }
        return {
            **view,
            "project": project,
            "createdAt": "2026-01-01T00:00:00",
            "updatedAt": "2026-01-01T00:00:00",
        }

    def on_View(self, variables: dict) -> dict:
        nodes = [
            {"node": self._view(view)}
            for view in self.views.values()
            if view["name"] == variables["viewName"]
        ]
        return {"project": {"allViews": {"edges": nodes}}}

    def on_SpecificReport(self, variables: dict) -> dict:
        for key, view in self.views.items():
            if key.strip("=") == variables["reportId"].strip("="):
                return {"view": self._view(view)}
        return {"view": None}

    def on_SweepWithRuns(self, variables: dict) -> dict:
        return {
            "project": {
                "sweep": {
                    "id": "s",
                    "name": variables["sweep"],
                    "method": "random",
                    "state": "RUNNING",
                    "description": None,
                    "config": self.sweep,
                    "createdAt": "2026-01-01T00:00:00",
                    "heartbeatAt": None,
                    "updatedAt": None,
                    "earlyStopJobRunning": False,
                    "bestLoss": None,
                    "controller": None,
                    "scheduler": None,
                    "runs": {"edges": []},
                }
            }
        }

    def on_CreateAgent(self, _: dict) -> dict:
        return {"createAgent": {"agent": {"id": "agent"}}}

    def on_Heartbeat(self, variables: dict) -> dict:
        running = json.loads(variables.get("runState") or "{}")
        if running:
            commands = []
        elif self.trials:
            commands = [self.trials.pop(0)]
        else:
            commands = [{"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}

    def on_GetProjects(self, _: dict) -> dict:
        return {
            "models": {
                "pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False},
                "edges": [],
            }
        }

    def stream(self, project: str, name: str, body: dict) -> dict:
        run = self.run(project, name)
        for file, part in body.get("files", {}).items():
            for place, line in enumerate(part["content"], part["offset"]):
                run["lines"].setdefault(file, {})[place] = line
                if file == "wandb-history.jsonl":
                    run["history"][place] = json.loads(line)
                elif file == "wandb-summary.json":
                    run["summary"] = json.loads(line)
        if body.get("complete"):
            run["exit"] = body.get("exitcode")
        return {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, *_) -> None:
        """Keep quiet."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            size = int(self.rfile.readline(), 16)
            while size:
                body += self.rfile.read(size)
                self.rfile.readline()
                size = int(self.rfile.readline(), 16)
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, value: dict, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)

    def _serve(self) -> None:
        state = self.state
        body = self._body()
        if self.headers.get("Authorization"):
            state.keys.add(self.headers["Authorization"])
        time.sleep(state.delay)
        state.answering.wait()
        with state.changed:
            status = state.status
            if state.busy > 0:
                state.busy -= 1
                status = 429
            if status == 200:
                value = self._handle(body)
            else:
                state.requests.append(f"refused with {status}")
                value = {"errors": [{"message": "not today"}]}
            state.changed.notify_all()
        self._answer(value, status)

    def _handle(self, body: bytes) -> dict:
        state = self.state
        if self.path == "/graphql":
            request = json.loads(body)
            return state.graphql(request["query"], request.get("variables") or {})
        stream = re.fullmatch(r"/files/([^/]+/)?([^/]+)/([^/]+)/file_stream", self.path)
        if stream:
            return state.stream(stream[2], stream[3], json.loads(body))
        if self.path.startswith("/storage/"):
            state.files[self.path.removeprefix("/storage/")] = body
        return {}

    do_GET = do_POST = do_PUT = _serve


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_) -> None:
        """Stay silent about a client that was killed."""


@contextmanager
def serving():
    """A server for the time of a test: its state, with ``address``."""
    state = State()
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state}))
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.answering.set()
        server.shutdown()
        server.server_close()
        thread.join()
