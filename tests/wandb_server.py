"""A W&B server on loopback, as far as a run needs one: runs with their configuration and history
(which is what resuming reads), files, artifacts, and the hand-out of trials to an agent. It can be
slow, refuse, or ask to be left alone for a while. What it does not know it answers with nothing, as
the client allows for."""

import base64
import gzip
import json
import re
import threading
import time
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class State:
    """What was sent, run by run: ``runs[(project, id)]`` holds ``history`` (a mapping per line),
    ``summary``, ``config`` ..."""

    def __init__(self) -> None:
        self.runs: dict[tuple[str, str], dict] = {}
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[float, str]] = []
        self.delay = 0.0
        self.status = 200
        self.busy = 0
        self.lock = threading.Lock()
        self.trials: list[dict] = []
        self.sweep = ""
        self.keys: set[str] = set()
        self.views: dict[str, dict] = {}
        self.address = ""

    def count(self, operation: str) -> int:
        return sum(name == operation for _, name in self.requests)

    def run(self, project: str, name: str) -> dict:
        return self.runs.setdefault(
            (project, name),
            {"lines": {}, "history": {}, "starts": 0, "summary": {}, "config": {}, "exit": None},
        )

    def graphql(self, query: str, told: dict) -> dict:
        operation = (re.search(r"(?:query|mutation)\s+(\w+)", query) or [None, ""])[1]
        self.requests.append((time.monotonic(), operation))
        answer = getattr(self, f"on_{operation}", lambda _: {})
        return {"data": answer(told)}

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

    def on_RunResumeStatus(self, told: dict) -> dict:
        known = (told["project"], told["name"]) in self.runs
        bucket = self._bucket(told["project"], told["name"]) if known else None
        return {
            "model": {
                "id": told["project"],
                "name": told["project"],
                "entity": {"id": "me", "name": "me"},
                "bucket": bucket,
            }
        }

    def on_UpsertBucket(self, told: dict) -> dict:
        run = self.run(told["project"], told["name"])
        run["starts"] += 1
        run.update(
            {key: value for key, value in told.items() if value is not None and key != "config"}
        )
        run["config"] = json.loads(told.get("config") or "{}")
        return {
            "upsertBucket": {
                "bucket": self._bucket(told["project"], told["name"]),
                "inserted": run["starts"] == 1,
            }
        }

    def on_CreateRunFiles(self, told: dict) -> dict:
        files = [
            {
                "name": name,
                "uploadUrl": f"{self.address}/storage/{told['project']}/{told['run']}/{name}",
            }
            for name in told["files"]
        ]
        return {"createRunFiles": {"runID": told["run"], "uploadHeaders": [], "files": files}}

    def on_ArtifactType(self, told: dict) -> dict:
        kind = "code" if told["name"].startswith("code") else "run_table"
        return {"project": {"artifact": {"artifactType": {"name": kind}}}}

    def on_CreateArtifact(self, told: dict) -> dict:
        return {
            "createArtifact": {
                "artifact": {
                    "id": uuid.uuid4().hex,
                    "state": "COMMITTED",
                    "artifactSequence": {"id": "s", "latestArtifact": None},
                }
            }
        }

    def on_UpsertView2(self, told: dict) -> dict:
        view = self.views.setdefault(
            told.get("id") or base64.b64encode(f"View:{len(self.views)}".encode()).decode(), {}
        )
        view.update({key: value for key, value in told.items() if value is not None})
        view["id"] = next(key for key, other in self.views.items() if other is view)
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

    def on_View(self, told: dict) -> dict:
        nodes = [
            {"node": self._view(view)}
            for view in self.views.values()
            if view["name"] == told["viewName"]
        ]
        return {"project": {"allViews": {"edges": nodes}}}

    def on_SpecificReport(self, told: dict) -> dict:
        view = next(
            (
                view
                for key, view in self.views.items()
                if key.strip("=") == told["reportId"].strip("=")
            ),
            None,
        )
        return {"view": view and self._view(view)}

    def on_SweepWithRuns(self, told: dict) -> dict:
        return {
            "project": {
                "sweep": {
                    "id": "s",
                    "name": told["sweep"],
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

    def on_Heartbeat(self, told: dict) -> dict:
        running = json.loads(told.get("runState") or "{}")
        commands = (
            [self.trials.pop(0)]
            if self.trials and not running
            else []
            if running
            else [{"type": "exit"}]
        )
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
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
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
        state, body = self.state, self._body()
        if self.headers.get("Authorization"):
            state.keys.add(self.headers["Authorization"])
        time.sleep(state.delay)
        with state.lock:
            status = state.status
            if state.busy > 0:
                state.busy, status = state.busy - 1, 429
            if status != 200:
                state.requests.append((time.monotonic(), f"refused with {status}"))
                value: dict = {"errors": [{"message": "not today"}]}
            elif self.path == "/graphql":
                asked = json.loads(body)
                value = state.graphql(asked["query"], asked.get("variables") or {})
            elif found := re.fullmatch(r"/files/([^/]+/)?([^/]+)/([^/]+)/file_stream", self.path):
                value = state.stream(found[2], found[3], json.loads(body))
            else:
                if self.path.startswith("/storage/"):
                    state.files[self.path.removeprefix("/storage/")] = body
                value = {}
        self._answer(value, status)

    do_GET = do_POST = do_PUT = _serve


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_) -> None:
        """A client that was killed is no news."""


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
        server.shutdown()
        server.server_close()
        thread.join()
