"""OpenLineage events: taken by the library's own client and sent to a real HTTP server, and refused where they are broken."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from distill_assets.errors import LineageError
from distill_assets.lineage.export.openlineage import _events, render_openlineage
from distill_assets.lineage.showing import prepare_manifest
from tests.lineage.example_manifest import build_manifest


def test_two_events_of_one_run_carry_the_mix_of_teachers() -> None:
    manifest = build_manifest()
    start, complete = (json.loads(line) for line in render_openlineage(manifest).splitlines())
    assert [start["eventType"], complete["eventType"]] == ["START", "COMPLETE"]
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert start["eventTime"] == manifest["checkpoint"]["made_at"]
    mix = complete["run"]["facets"]["teacherMix"]
    assert [row["n_rows_seen"] for row in mix["teachers"]] == [t["n_rows_seen"] for t in manifest["teachers"]]
    assert {"_producer", "_schemaURL"} <= set(mix)
    assert len(complete["inputs"]) == 41 and complete["outputs"][0]["name"] == "student_checkpoint"


def test_the_librarys_client_sends_them_as_they_stand_in_the_file() -> None:
    from openlineage.client import OpenLineageClient
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    taken: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(201)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=url, timeout=20)))
        for event in _events(prepare_manifest(build_manifest())):
            client.emit(event)
    finally:
        server.shutdown()
        server.server_close()
    sent = [json.loads(body) for body in taken]
    assert [event["eventType"] for event in sent] == ["START", "COMPLETE"]
    assert sent[1]["run"]["facets"]["teacherMix"]["teachers"][0]["n_rows_seen"] == 398


@pytest.mark.parametrize("made_at", ["yesterday", "22.11.2026"])
def test_the_typed_classes_refuse_a_time_that_is_none(made_at: str) -> None:
    manifest = build_manifest()
    manifest["checkpoint"]["made_at"] = made_at
    with pytest.raises(LineageError, match="Nothing was exported"):
        render_openlineage(manifest)


def test_the_typed_classes_refuse_a_run_id_that_is_none() -> None:
    from openlineage.client.event_v2 import Run

    with pytest.raises(ValueError):
        Run("run 1")


def test_a_manifest_without_time_is_refused() -> None:
    manifest = build_manifest()
    manifest["checkpoint"]["made_at"] = None
    with pytest.raises(LineageError, match="made_at is null"):
        render_openlineage(manifest)


def test_a_missing_extra_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openlineage.client.serde", None)
    with pytest.raises(LineageError, match=r"pip install 'distill-assets\[openlineage\]'"):
        render_openlineage(build_manifest())
