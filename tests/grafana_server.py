"""The part of Grafana's HTTP API that we use, on loopback: records and checks every request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jsonschema import Draft7Validator

TOKEN = "glsa_0123456789abcdef"  # noqa: S105  of the test's own server
Answer = tuple[int, Any]


@dataclass(slots=True)
class Held:
    """What the server holds, what it was asked, and how it is told to misbehave."""

    schema: dict[str, Any]
    port: int = 0
    folders: dict[str, str] = field(default_factory=dict)
    dashboards: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)
    annotations: dict[int, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    answer_instead: Answer | None = None

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Method and path of every request that is no GET."""
        return [(method, path) for method, path, _ in self.requests if method != "GET"]

    def answer(self, method: str, target: str, body: Any) -> Answer:
        """Return status and JSON, as Grafana's documentation has them."""
        parts = urlsplit(target)
        self.requests.append((method, parts.path, body))
        if self.answer_instead is not None:
            return self.answer_instead
        names = parts.path.removeprefix("/api/").split("/")
        if method == "GET":
            return self._read(names, parts.query)
        return self._write(method, names, body)

    def _read(self, names: list[str], query: str) -> Answer:
        match names:
            case ["folders", uid]:
                return self._found(self.folders.get(uid), {"uid": uid})
            case ["dashboards", "uid", uid]:
                content, folder = self.dashboards.get(uid, (None, ""))
                answer = {"dashboard": content, "meta": {"folderUid": folder}}
                return self._found(content, answer)
            case ["annotations"]:
                return 200, self._annotations(parse_qs(query, strict_parsing=True))
        return self._found(None, None)

    def _write(self, method: str, names: list[str], body: Any) -> Answer:
        match method, names:
            case "POST", ["folders"]:
                self.folders[body["uid"]] = body["title"]
                return 200, body
            case "POST", ["dashboards", "db"]:
                return self._save(body)
            case "POST", ["annotations"]:
                return self._annotate(len(self.annotations) + 1, body)
            case "PUT", ["annotations", number]:
                return self._annotate(int(number), body)
        return self._found(None, None)

    def _found(self, held: object, answer: Any) -> Answer:
        return (404, {"message": "not found"}) if held is None else (200, answer)

    def _save(self, body: dict[str, Any]) -> Answer:
        content = body["dashboard"]
        if body["folderUid"] not in self.folders or body["overwrite"] is not True:
            return 400, {"message": "folder not found"}
        Draft7Validator(self.schema).validate(content)
        version = self.dashboards.get(content["uid"], ({"version": 0}, ""))[0]["version"] + 1
        kept = {**content, "id": len(self.dashboards) + 1, "version": version}
        self.dashboards[content["uid"]] = (kept, body["folderUid"])
        return 200, {"uid": content["uid"], "status": "success"}

    def _annotations(self, asked: dict[str, list[str]]) -> list[dict[str, Any]]:
        found = [one for one in self.annotations.values() if set(asked["tags"]) <= set(one["tags"])]
        return found[: int(asked["limit"][0])]

    def _annotate(self, number: int, body: dict[str, Any]) -> Answer:
        assert all(len(tag) <= 100 for tag in body["tags"])
        self.annotations[number] = {"id": number, **body, "tags": body["tags"][::-1]}
        return 200, {"message": "Annotation added", "id": number}


@contextmanager
def grafana(schema: dict[str, Any]) -> Iterator[Held]:
    """Run a server; a request without the token is refused as Grafana refuses it."""
    held = Held(schema)

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                code, answer = 401, {"message": "Invalid API key"}
            else:
                code, answer = held.answer(self.command, self.path, json.loads(body or b"null"))
            content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "http://127.0.0.1:1/login")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _any  # noqa: N815  names of the library

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        held.port = server.server_port
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()
