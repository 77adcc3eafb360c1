"""`watchkeeper faults` against an HTTP server that answers like a collector, against a database, against nothing."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import fault_table, main
from collector.fault_json import fault_json
from collector.store.faults import SCHEMA, list_faults, store_decisions
from config.language import use
from kit.incidents import Incident, device

TOKEN = "t" * 40


class Answering(BaseHTTPRequestHandler):
    """Answers with what the test put into `answers`; keeps what was asked."""

    answers: dict[str, tuple[int, object]]
    asked: list[tuple[str, str, str, object]]

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def answer(self, body: object) -> None:
        self.asked.append((self.command, self.path, self.headers.get("authorization", ""), body))
        status, found = self.answers.get(self.path.partition("?")[0], (404, {"error": "there is no such page"}))
        data = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def collector() -> Iterator[type[Answering]]:
    handler = type("Handler", (Answering,), {"answers": {}, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def english() -> None:
    use("en")


def site_file(tmp_path: Path, port: int) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(
        f"site: {{name: north, contract: campus-network}}\n"
        f"devices: [{{name: core-1, address: 127.0.0.1, class: switch, role: core}}]\n"
        f"collector: {{data: {tmp_path / 'data'}, listen: '127.0.0.1:{port}'}}\n"
    )
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "operator.token").write_text(TOKEN + "\n")
    return path


def incident(tmp_path: Path) -> list[dict[str, object]]:
    """Store some faults, and return them as JSON, newest first."""
    i = Incident(device("core-1", role="core"), device("acc", up="core-1"), device("ups", "ups"))
    i.down(0, "core-1", "acc")
    i.raise_(5, "ups", "UpsOnBattery")
    i.run(700)
    i.keep(i.engine.act(i.faults[0].id, "ack", "wang", i.at(800), "on my way"))
    (tmp_path / "data").mkdir(exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "data" / "watchkeeper.db")) as connection:
        connection.executescript(SCHEMA)
        for decisions in i.decisions:
            store_decisions(connection, decisions)
        connection.commit()
        return [fault_json(view, "en") for view in list_faults(connection)]


def run(*words: str) -> int:
    return main.main(["faults", *words])


def test_list_as_json_is_a_list(tmp_path: Path, collector: Any, capsys: pytest.CaptureFixture[str]) -> None:
    faults = incident(tmp_path)
    collector.answers["/api/v1/faults"] = (200, {"faults": faults})
    config = site_file(tmp_path, collector.port)
    assert run("list", "-c", str(config), "--json", "--state", "all", "--level", "A") == 0
    out = capsys.readouterr()
    assert json.loads(out.out) == faults and out.err == ""
    method, path, authorization, _body = collector.asked[0]
    assert (method, authorization) == ("GET", f"Bearer {TOKEN}")
    assert "state=all" in path and "level=A" in path
    wanted = {"id", "site", "device", "component", "problem", "level", "level_name", "state", "reason", "began_at", "opened_at"}
    wanted |= {"restored_at", "closed_at", "affected", "alarms", "clocks", "history", "summary"}
    assert wanted <= faults[0].keys()


def test_list_for_people(tmp_path: Path, collector: Any, capsys: pytest.CaptureFixture[str]) -> None:
    collector.answers["/api/v1/faults"] = (200, {"faults": incident(tmp_path)})
    assert run("list", "-c", str(site_file(tmp_path, collector.port))) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "WK-20261122-0001" in out and "Mains lost at" in out and "2026-11-22" in out
    collector.answers["/api/v1/faults"] = (200, {"faults": []})
    assert run("list", "-c", str(site_file(tmp_path, collector.port))) == 0
    assert "No faults" in capsys.readouterr().out


def test_show(tmp_path: Path, collector: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fault = incident(tmp_path)[-1]
    collector.answers[f"/api/v1/faults/{fault['id']}"] = (200, fault)
    config = str(site_file(tmp_path, collector.port))
    assert run("show", str(fault["id"]), "-c", config, "--json") == 0
    assert json.loads(capsys.readouterr().out)["id"] == fault["id"]
    assert run("show", str(fault["id"]), "-c", config) == 0
    assert run("show", "WK-none", "-c", config) == 1
    assert "there is no such page" in capsys.readouterr().err


def test_step_sends_person_and_note(tmp_path: Path, collector: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fault = incident(tmp_path)[-1]
    collector.answers[f"/api/v1/faults/{fault['id']}/assign"] = (200, fault)
    config = str(site_file(tmp_path, collector.port))
    assert run("assign", str(fault["id"]), "-c", config, "--person", "wang", "--to", "li", "--note", "take the ladder") == 0
    assert collector.asked[0][3] == {"person": "wang", "note": "take the ladder", "to": "li"}
    assert str(fault["id"]) in capsys.readouterr().out
    run("assign", str(fault["id"]), "-c", config)
    assert collector.asked[1][3]["person"]


def test_illegal_step_names_what_is_allowed(tmp_path: Path, collector: Any, capsys: pytest.CaptureFixture[str]) -> None:
    collector.answers["/api/v1/faults/X/close"] = (409, {"error": "not now", "allowed": ["ack", "assign"]})
    assert run("close", "X", "-c", str(site_file(tmp_path, collector.port))) == 1
    assert "not now; allowed: ack, assign" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((401, {"error": "unauthorised"}), 2),
        ((500, {"error": "broken"}), 3),
        ((302, {}), 3),
        ((200, b"<html>"), 3),
        ((200, b"[" * 100_000), 3),
        ((200, "words"), 3),
    ],
)
def test_other_answers(tmp_path: Path, collector: Any, answer: tuple[int, object], status: int) -> None:
    collector.answers["/api/v1/faults/X/ack"] = answer
    assert run("ack", "X", "-c", str(site_file(tmp_path, collector.port))) == status


def test_without_collector_looks_into_the_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = incident(tmp_path)
    config = str(site_file(tmp_path, 1))
    assert run("list", "-c", config, "--json") == 0
    out = capsys.readouterr()
    assert json.loads(out.out) == faults
    assert "does not answer" in out.err and "read from its database" in out.err
    assert run("show", str(faults[0]["id"]), "-c", config) == 0
    assert run("show", "WK-none", "-c", config) == 1


def test_without_collector_no_step_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = incident(tmp_path)
    assert run("ack", str(faults[0]["id"]), "-c", str(site_file(tmp_path, 1))) == 3
    assert "does not answer" in capsys.readouterr().err


def test_without_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "-c", str(site_file(tmp_path, 1))) == 3
    assert run("list") == 2
    assert run("list", "--url", "ftp://x") == 2
    assert run("list", "--url", "http://127.0.0.1:1") == 3
    assert run("list", "--url", "http://127.0.0.1:1", "--token-file", str(tmp_path / "none")) == 2
    assert run("list", "-c", str(tmp_path / "none.yaml")) == 2
    with pytest.raises(SystemExit) as caught:
        run("dance", "X")
    assert caught.value.code == 2
    capsys.readouterr()


def test_url_and_token_file(tmp_path: Path, collector: Any) -> None:
    collector.answers["/api/v1/faults"] = (200, [])
    token = tmp_path / "token"
    token.write_text("other\n")
    assert run("list", "--url", f"http://127.0.0.1:{collector.port}/", "--token-file", str(token)) == 0
    assert collector.asked[0][2] == "Bearer other"


def test_text_of_strangers_moves_no_cursor() -> None:
    console = Console(width=200, force_terminal=True, record=True)
    fault = {
        "id": "WK-1", "level": "A", "summary": "\x1b[2Jgone [bold]x[/]", "state": "opened", "device": "\r\nx",
        "history": [{"at": None, "step": "note", "person": "\x07", "note": "[red]\x9b"}], "alarms": [], "clocks": {},
    }  # fmt: skip
    fault_table.print_fault(console, fault)
    fault_table.print_list(console, [fault])
    text = console.export_text()
    assert "\x1b[2J" not in text and "\x07" not in text and "[bold]x[/]" in text


def test_times_are_near_and_exact() -> None:
    now = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    assert fault_table.near("2026-11-22T02:48:00.000Z", now) == "12 min ago"
    assert fault_table.near("2026-11-22T06:00:00.000Z", now) == "in 3 h"
    assert fault_table.near("2026-11-20T03:00:00Z", now) == "2 d ago"
    assert [fault_table.near(wrong, now) for wrong in (None, "", "soon")] == ["-", "-", "-"]
    assert fault_table.next_clock({"clocks": {"respond": {"state": "missed", "due_at": None}}}, now).plain == "missed: respond"
