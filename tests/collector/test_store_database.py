"""The database keeps all of a transaction or nothing, refuses a second process, and comes through a full disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.store import agents, audit, rulestate
from collector.store.database import (
    FILE,
    Store,
    StoreBusyError,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    statements,
)
from collector.store.schema import MIGRATIONS
from rules.alert import AlertState, Phase


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "data", reserve_bytes=1 << 16)
    yield opened
    opened.close()


def agent(name: str = "north", seen_at: int = 1) -> agents.AgentRow:
    return agents.AgentRow(name, seen_at)


def test_when_opened_then_wal_full_and_at_this_version(store: Store) -> None:
    pragma = {
        name: store.connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "auto_vacuum", "user_version", "foreign_keys")
    }
    assert pragma == {
        "journal_mode": "wal",
        "synchronous": 2,
        "auto_vacuum": 2,
        "user_version": len(MIGRATIONS),
        "foreign_keys": 1,
    }
    assert store.reserve.stat().st_size == 1 << 16
    assert (store.folder / FILE).stat().st_mode & 0o007 == 0


def test_when_the_block_raises_then_nothing_is_kept(store: Store) -> None:
    def half() -> None:
        with store.transaction() as connection:
            agents.store_agents(connection, [agent()])
            store.db["meta_by_sqlite_utils"].insert({"a": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert agents.load_agents(store.connection) == []
    assert "meta_by_sqlite_utils" not in store.db.table_names()
    assert not store.connection.in_transaction


def test_when_a_hook_raises_at_commit_then_nothing_is_kept_and_after_commit_everything(tmp_path: Path) -> None:
    failing = ""

    def hook(step: str) -> None:
        if step == failing:
            raise RuntimeError(step)

    store = Store.open(tmp_path, hook=hook, reserve_bytes=4096)
    for failing, kept in (("commit", 0), ("committed", 1)):  # noqa: B007 - read by the hook
        with pytest.raises(RuntimeError), store.transaction() as connection:
            agents.store_agents(connection, [agent()])
        assert len(agents.load_agents(store.connection)) == kept
    store.close()


def test_when_a_second_process_opens_then_it_is_told_why_it_may_not(store: Store) -> None:
    code = "import sys; from pathlib import Path; from collector.store.database import *\n"
    code += "try:\n Store.open(Path(sys.argv[1]))\nexcept StoreBusyError as error:\n print(error)"
    done = subprocess.run([sys.executable, "-c", code, str(store.folder)], capture_output=True, text=True, timeout=60)
    assert "Another collector works on the data folder" in done.stdout
    with pytest.raises(StoreBusyError):
        Store.open(store.folder)
    store.close()
    Store.open(store.folder).close()


def test_when_read_only_then_it_sees_what_is_committed_and_cannot_write(store: Store) -> None:
    with store.transaction() as connection:
        agents.store_agents(connection, [agent()])
    reader = Store.open_read_only(store.folder)
    assert [row.agent for row in agents.load_agents(reader.connection)] == ["north"]
    with pytest.raises(StoreError), reader.transaction() as connection:
        agents.store_agents(connection, [agent("other")])
    reader.close()


def test_when_there_is_no_database_then_reading_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No database can be read"):
        Store.open_read_only(tmp_path)


def test_when_the_file_is_not_a_database_then_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreDamagedError):
        Store.open(tmp_path)
    assert (tmp_path / FILE).read_bytes() == b"not a database" * 1000


def test_when_the_database_is_of_a_later_version_then_it_is_refused(store: Store) -> None:
    store.connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    store.close()
    with pytest.raises(StoreDamagedError, match="later version"):
        Store.open(store.folder)


def test_when_the_file_is_damaged_then_the_check_finds_it(store: Store) -> None:
    assert store.check_integrity() == []
    with store.transaction() as connection:
        agents.store_agents(connection, [agent(f"agent-{n}") for n in range(5000)])
    store.shrink()
    pages = os.path.getsize(store.folder / FILE) // 4096
    with open(store.folder / FILE, "r+b") as file:
        file.seek((pages - 3) * 4096)
        file.write(b"\xff" * 4096)
    assert store.check_integrity()


def test_when_closed_during_the_check_then_the_check_ends(store: Store) -> None:
    with store.transaction() as connection:
        agents.store_agents(connection, [agent(f"agent-{n}") for n in range(20000)])
    thread = threading.Thread(target=store.check_integrity)
    thread.start()
    store.close()
    thread.join(10)
    assert not thread.is_alive()


def test_when_a_script_is_split_then_each_statement_is_whole() -> None:
    assert [part.strip() for part in statements("CREATE TABLE a (\n x TEXT\n);\nCREATE TABLE b (y);")] == [
        "CREATE TABLE a (\n x TEXT\n);",
        "CREATE TABLE b (y);",
    ]


def test_when_an_alert_has_no_number_then_it_comes_back_the_same(store: Store) -> None:
    state = AlertState("key", "Rule", (("alertname", "Rule"),), {"summary": "x"}, Phase.FIRING, 1, 2, None, 3, float("nan"))
    with store.transaction() as connection:
        rulestate.store_alerts(connection, [state], [])
    (back,) = rulestate.load_alerts(store.connection)
    assert repr(back) == repr(state)
    with store.transaction() as connection:
        rulestate.store_alerts(connection, [], [rulestate.alert_id(state)])
    assert rulestate.load_alerts(store.connection) == []


def test_when_audit_is_written_then_it_is_read_newest_first(store: Store) -> None:
    with store.transaction() as connection:
        for at in (1, 2):
            audit.add_audit(connection, audit.AuditEntry(at, "north", "127.0.0.1", "ingest-refused", "'; DROP TABLE audit;--"))
    assert [entry.at for entry in audit.load_audit(store.connection)] == [2, 1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("a small tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no tmpfs here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_when_the_disk_is_full_then_the_reserve_lets_deletes_run_and_is_made_again(small_disk: Path) -> None:
    store = Store.open(small_disk, reserve_bytes=4 << 20)
    with store.transaction() as connection:
        connection.execute("CREATE TABLE filler (id INTEGER PRIMARY KEY, data BLOB)")
    rows = 0

    def fill() -> None:
        nonlocal rows
        while rows < 10_000:
            with store.transaction() as connection:
                connection.execute("INSERT INTO filler (data) VALUES (?)", (os.urandom(20_000),))
            rows += 1

    with pytest.raises(StoreFullError, match="full"):
        fill()
    assert store.connection.execute("SELECT count(*) FROM filler").fetchone()[0] == rows, "what was committed is there"
    store.release_reserve()
    for first in range(0, rows // 2, 20):
        with store.transaction() as connection:
            connection.execute("DELETE FROM filler WHERE id BETWEEN ? AND ?", (first, first + 20))
    assert store.shrink(), "the reserve is whole again"
    with store.transaction() as connection:
        connection.execute("INSERT INTO filler (data) VALUES (?)", (os.urandom(20_000),))
    store.close()
    checked = sqlite3.connect(small_disk / FILE)
    assert checked.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    checked.close()
