"""The spool keeps what it took: through restarts, cuts, flipped bytes, full disks; it counts what it gives up (P3-P5)."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.entry import Entry
from agent.spool import Spool, SpoolError, SpoolLockedError
from config.site import SpoolSettings
from kit.batches import Ledger, batch_of, change_batch, decode_frame
from kit.hand_clock import HandClock


def open_spool(path: Path, clock: HandClock | None = None, **settings: object) -> Spool:
    return Spool(SpoolSettings(path, **settings), clock or HandClock())  # type: ignore[arg-type]


def drain(spool: Spool, ledger: Ledger) -> list[Entry]:
    """Deliver everything on the shelf as the sender would."""
    taken: list[Entry] = []
    while (segment := spool.shelf.newest_waiting()) is not None:
        entries = spool.shelf.claim(spool.shelf.read(segment))
        ledger.take(entry.frame for entry in entries)
        spool.acknowledge(entries)
        taken += entries
    return taken


def hand_back(spool: Spool, entries: list[Entry]) -> None:
    spool.shelf.let_go(entries)


def test_what_was_spooled_is_there_after_a_restart(tmp_path: Path) -> None:
    clock = HandClock()
    spool = open_spool(tmp_path, clock)
    spool.append([batch_of(1, 2), change_batch("c1")])
    spool.append([batch_of(3)])
    spool.close()
    clock.jump(-3600)
    again, ledger = open_spool(tmp_path, clock), Ledger()
    assert again.epoch == spool.epoch + 1, "the epoch grows even when the clock went back"
    assert again.previous == (spool.epoch, 4)
    assert again.backlog_records == 4
    drain(again, ledger)
    assert ledger.names == ["d1", "d2", "c1", "d3"]
    assert again.backlog_records == 0
    assert not list(tmp_path.glob("*.seg"))
    again.close()


def test_an_empty_epoch_still_names_the_one_before(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    first.append([batch_of(1)])
    first.close()
    second = open_spool(tmp_path)
    second.close()
    third = open_spool(tmp_path)
    assert third.previous == (second.epoch, 0)
    third.close()


def test_acknowledged_entries_do_not_come_again(tmp_path: Path) -> None:
    clock = HandClock()
    spool = open_spool(tmp_path, clock)
    entries = spool.append([batch_of(n) for n in range(10)])
    clock.advance(2)
    spool.acknowledge(spool.shelf.claim(entries[:4]))
    spool.acknowledge(spool.shelf.claim(entries[6:7]))
    assert spool.backlog_records == 5
    spool.close()
    again, ledger = open_spool(tmp_path, clock), Ledger()
    drain(again, ledger)
    assert set(ledger.names) >= {"d4", "d5", "d7", "d8", "d9"}
    assert "d0" not in ledger.names, "the cursor was used"
    again.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(SpoolLockedError, match="in use by another process"):
        open_spool(tmp_path)
    spool.close()
    open_spool(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot be used"):
        open_spool(tmp_path / "file" / "spool")


def make_segment(path: Path, records: int) -> tuple[bytes, Path]:
    spool = open_spool(path)
    spool.append([batch_of(n) for n in range(records)])
    os.close(spool._lock_handle)  # as kill -9 leaves it
    (file,) = path.glob("*.seg")
    return file.read_bytes(), file


def restore(path: Path, file: Path, data: bytes) -> None:
    for old in path.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    file.write_bytes(data)


@pytest.mark.parametrize("step", [pytest.param(7, id="some"), pytest.param(1, id="every", marks=pytest.mark.slow)])
def test_a_cut_at_every_byte_leaves_every_whole_record(tmp_path: Path, step: int) -> None:
    data, file = make_segment(tmp_path, 8)
    ends = [entry.end for entry in scan_entries(data)]
    for cut in range(0, len(data) + 1, step):
        restore(tmp_path, file, data[:cut])
        spool, ledger = open_spool(tmp_path), Ledger()
        drain(spool, ledger)
        whole = sum(end <= cut for end in ends)
        assert ledger.names == [f"d{n}" for n in range(whole)], cut
        assert spool.shelf.quarantined == 0
        spool.close()


def scan_entries(data: bytes) -> list[object]:
    from agent.segment import scan

    return list(scan(data).entries)


@pytest.mark.parametrize("step", [pytest.param(37, id="some"), pytest.param(1, id="every", marks=pytest.mark.slow)])
def test_a_flipped_byte_costs_at_most_its_own_record(tmp_path: Path, step: int) -> None:
    data, file = make_segment(tmp_path, 50)
    for at in range(0, len(data), step):
        restore(tmp_path, file, data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        started = time.monotonic()
        spool, ledger = open_spool(tmp_path), Ledger()
        assert time.monotonic() - started < 1
        drain(spool, ledger)
        lost = 50 - len(ledger.records)
        assert lost <= 1, at
        assert spool.shelf.quarantined == lost == spool.dropped["corrupt"], at
        assert spool.backlog_records == 0
        assert len(list((tmp_path / "quarantine").glob("*"))) == lost
        spool.close()


def test_damage_in_two_neighbours_is_contained(tmp_path: Path) -> None:
    data, file = make_segment(tmp_path, 10)
    entries = scan_entries(data)
    spoiled = bytearray(data)
    for entry in entries[4:6]:
        spoiled[entry.start + 40 : entry.start + 44] = b"\0\0\0\0"  # type: ignore[attr-defined]
        spoiled[entry.start + 1] = 0  # type: ignore[attr-defined]
    restore(tmp_path, file, bytes(spoiled))
    spool, ledger = open_spool(tmp_path), Ledger()
    drain(spool, ledger)
    assert ledger.names == [f"d{n}" for n in (0, 1, 2, 3, 6, 7, 8, 9)]
    assert spool.dropped["corrupt"] == 2
    spool.close()


@pytest.mark.parametrize("keep", ["newest", "oldest"])
def test_the_size_bound_drops_by_policy_and_counts(tmp_path: Path, keep: str) -> None:
    spool = open_spool(tmp_path, max_bytes=200_000, keep=keep)
    for n in range(300):
        hand_back(spool, spool.append([batch_of(n, payload=1500)]))
    assert sum(file.stat().st_size for file in tmp_path.glob("*.seg")) <= 200_000 + 1000
    assert spool.dropped["size"] > 0
    total = spool.backlog_records + sum(spool.dropped.values())
    assert total == 300
    spool.close()
    again, ledger = open_spool(tmp_path, max_bytes=10_000_000), Ledger()
    drain(again, ledger)
    if keep == "newest":
        assert "d299" in ledger.names and "d0" not in ledger.names
    else:
        assert "d0" in ledger.names and "d299" not in ledger.names
    again.close()


def test_old_segments_expire_whatever_the_wall_clock_does(tmp_path: Path) -> None:
    clock = HandClock()
    spool = open_spool(tmp_path, clock, max_age_s=3600.0)
    hand_back(spool, spool.append([batch_of(1)]))
    clock.jump(7200)
    hand_back(spool, spool.append([batch_of(2)]))
    assert spool.dropped["age"] == 0
    clock.jump(-9000)
    clock.advance(3700)
    hand_back(spool, spool.append([batch_of(3)]))
    assert spool.dropped["age"] == 2
    ledger = Ledger()
    drain(spool, ledger)
    assert ledger.names == ["d3"]
    assert ledger.missing() == 2
    spool.close()


def test_a_claimed_segment_is_not_given_up(tmp_path: Path) -> None:
    clock = HandClock()
    spool = open_spool(tmp_path, clock, max_age_s=60.0)
    claimed = spool.shelf.claim(spool.append([batch_of(1)]))
    clock.advance(120)
    spool.append([batch_of(2)])
    assert spool.dropped["age"] == 0
    spool.acknowledge(claimed)
    assert spool.backlog_records == 1
    spool.close()


def test_entries_of_a_dropped_segment_are_not_delivered(tmp_path: Path) -> None:
    clock = HandClock()
    spool = open_spool(tmp_path, clock, max_age_s=60.0)
    entries = spool.append([batch_of(1)])
    clock.advance(120)
    spool.append([batch_of(2)])
    assert spool.shelf.claim(entries) == []
    spool.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> object:
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    if done.returncode:
        pytest.skip(f"no tmpfs here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(disk: Path) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


def test_a_full_disk_drops_the_oldest_and_counts_exactly(small_disk: Path) -> None:
    spool = open_spool(small_disk / "spool")
    for n in range(1500):
        hand_back(spool, spool.append([batch_of(n, payload=2000)]))
    assert spool.write_errors > 0
    ledger = Ledger()
    drain(spool, ledger)
    hand_back(spool, spool.append([batch_of(9999)]))
    drain(spool, ledger)
    assert "d1499" in ledger.names and "d9999" in ledger.names
    assert 0 < sum(spool.dropped.values()) == ledger.missing()
    spool.close()


def test_a_disk_filled_by_others_is_survived_and_recovers_alone(small_disk: Path) -> None:
    spool = open_spool(small_disk / "spool")
    hand_back(spool, spool.append([batch_of(0)]))
    filler = fill(small_disk)
    for n in range(1, 50):
        hand_back(spool, spool.append([batch_of(n, payload=20_000)]))
    filler.unlink()
    hand_back(spool, spool.append([batch_of(50)]))
    ledger = Ledger()
    drain(spool, ledger)
    assert "d50" in ledger.names
    assert spool.backlog_records == 0
    assert sum(spool.dropped.values()) == ledger.missing()
    spool.close()


def test_a_spool_starts_on_a_full_disk(small_disk: Path) -> None:
    fill(small_disk)
    spool = open_spool(small_disk / "spool")
    (entry,) = spool.append([batch_of(1)])
    assert decode_frame(entry.frame).runs[0].device == "d1"
    assert spool.backlog_records == 1
    spool.close()


def test_a_record_that_cannot_be_encoded_takes_no_other_with_it(tmp_path: Path) -> None:
    spool, ledger = open_spool(tmp_path), Ledger()
    good = batch_of(1, 2, 3)
    bad = dataclasses.replace(good.runs[1], detail="\udc80")
    entries = spool.append([dataclasses.replace(good, runs=(good.runs[0], bad, good.runs[2])), batch_of(4)])
    ledger.take(entry.frame for entry in entries)
    assert ledger.names == ["d1", "d3", "d4"]
    assert ledger.missing() == spool.dropped["unencodable"] == 1
    spool.close()


LIMITED = """
import resource, sys
from pathlib import Path
from agent.spool import Spool
from config.clock import SystemClock
from config.site import SpoolSettings
from kit.batches import batch_of
spool = Spool(SpoolSettings(Path(sys.argv[1])), SystemClock())
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
for n in range(100):
    spool.shelf.let_go(spool.append([batch_of(n, payload=1000)]))
print(spool.backlog_records, sum(spool.dropped.values()))
spool.close()
"""


def test_a_file_size_limit_only_makes_more_segments(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["100", "0"]
    again, ledger = open_spool(tmp_path), Ledger()
    drain(again, ledger)
    assert len(ledger.records) == 100
    again.close()
