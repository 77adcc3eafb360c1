"""The checks behind `watchkeeper doctor`: each looks at one thing and says what it found and what to do. Changes nothing."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.errors import ConfigErrors
from config.language import _
from config.load import load_site
from config.site import Site

MIN_FREE_BYTES = 1 << 30
GOOD_RECEIVE_BUFFER = 4 << 20
EARLIEST = 1_735_689_600  # 2025-01-01: a clock before this has never been set


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `verdict` is ok, warning or problem; `advice` says what to do where something is."""

    subject: str
    verdict: str
    text: str
    advice: str = ""


def examine(site_file: Path | None) -> list[Finding]:
    """Return all findings about this machine, and about the site file's folders, ports and database if one is given."""
    findings = [check() for check in (python, icmp, clock, receive_buffer, open_files)]
    if site_file is None:
        return [*findings, disk(Path.cwd())]
    try:
        site = load_site(site_file)
    except ConfigErrors as errors:
        advice = _("Run: watchkeeper check {file}").format(file=site_file)
        return [*findings, Finding(_("site file"), "problem", str(errors).splitlines()[0], advice)]
    return [*findings, *of_site(site)]


def of_site(site: Site) -> Iterator[Finding]:
    """Yield the findings about one site's folders, ports and database."""
    text = _("{count} devices, contract {contract}").format(count=len(site.devices), contract=site.contract)
    yield Finding(_("site file"), "ok", text)
    for folder in dict.fromkeys((site.collector.data, site.agent.spool.path)):
        yield disk(folder)
    yield database(site.collector.data / "watchkeeper.db")
    yield port(site.collector.listen)
    if site.agent.listen:
        yield port(site.agent.listen)


def python() -> Finding:
    """Name the interpreter's version; an older one could not have been installed into."""
    return Finding(_("Python"), "ok", ".".join(map(str, sys.version_info[:3])))


def _opens(kind: int) -> bool:
    try:
        socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True


def icmp() -> Finding:
    """Check whether this user may send ICMP echo requests."""
    if _opens(socket.SOCK_RAW):
        return Finding(_("ICMP"), "ok", _("raw sockets allowed"))
    if _opens(socket.SOCK_DGRAM):
        return Finding(_("ICMP"), "ok", _("unprivileged ping sockets allowed"))
    advice = _(
        "Allow ping sockets: sysctl -w net.ipv4.ping_group_range='0 2147483647', "
        "or give the service CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW)."
    )
    return Finding(_("ICMP"), "problem", _("this user may not send echo requests"), advice)


def clock() -> Finding:
    """Check that the wall clock has been set and that the kernel believes it to be synchronised."""
    now = time.time()
    if now < EARLIEST:
        return Finding(_("wall clock"), "problem", time.ctime(now), _("The clock was never set: configure NTP."))
    synchronised = Path("/run/systemd/timesync/synchronized").exists() or shutil.which("chronyd") or shutil.which("ntpd")
    if not synchronised:
        advice = _("Fault times are only as right as this clock: run chrony or systemd-timesyncd.")
        return Finding(_("wall clock"), "warning", _("no sign of time synchronisation"), advice)
    return Finding(_("wall clock"), "ok", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))


def receive_buffer() -> Finding:
    """Check how large a socket's receive buffer may be: answers to a burst of questions wait there."""
    try:
        size = int(Path("/proc/sys/net/core/rmem_max").read_text())
    except (OSError, ValueError):
        return Finding(_("receive buffer"), "ok", _("not Linux: limit unknown"))
    if size < GOOD_RECEIVE_BUFFER:
        advice = _("For more than 1,000 devices: sysctl -w net.core.rmem_max=8388608")
        return Finding(_("receive buffer"), "warning", _("at most {size} bytes").format(size=size), advice)
    return Finding(_("receive buffer"), "ok", _("at most {size} bytes").format(size=size))


def open_files() -> Finding:
    """Check the limit of open files."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1024:
        return Finding(_("open files"), "warning", str(soft), _("Raise it: ulimit -n 4096 (systemd: LimitNOFILE=4096)"))
    return Finding(_("open files"), "ok", str(soft))


def disk(folder: Path) -> Finding:
    """Check that the folder can be written and has room."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    subject = _("disk {folder}").format(folder=folder)
    if not os.access(place, os.W_OK):
        return Finding(
            subject, "problem", _("not writable by this user"), _("chown it to the service's user, or choose another.")
        )
    free = shutil.disk_usage(place).free
    text = _("{free:.1f} GB free").format(free=free / 1e9)
    if free < MIN_FREE_BYTES:
        return Finding(subject, "problem", text, _("Free some space: samples and faults are kept here."))
    return Finding(subject, "ok", text)


def port(listen: str) -> Finding:
    """Check that the address can be listened on, or that something already does."""
    host, _colon, number = listen.rpartition(":")
    subject = _("port {listen}").format(listen=listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]") or "0.0.0.0", int(number)))  # noqa: S104
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return Finding(subject, "warning", _("in use"), _("Fine if Watchkeeper is running; else choose another port."))
            return Finding(subject, "problem", _(error.strerror or str(error)), _("Change `listen` in the site file."))
    return Finding(subject, "ok", _("free"))


def database(path: Path) -> Finding:
    """Check that the database, if there is one, opens and is sound."""
    subject = _("database {path}").format(path=path)
    if not path.exists():
        return Finding(subject, "ok", _("not made yet"))
    try:
        verdict = _quick_check(path)
    except sqlite3.Error as error:
        return Finding(subject, "problem", str(error), _("Stop Watchkeeper and restore the last backup."))
    if verdict != "ok":
        return Finding(subject, "problem", verdict, _("Stop Watchkeeper and restore the last backup."))
    return Finding(subject, "ok", _("sound, {size:.1f} MB").format(size=path.stat().st_size / 1e6))


def _quick_check(path: Path) -> str:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return str(connection.execute("PRAGMA quick_check").fetchone()[0])
    finally:
        connection.close()
