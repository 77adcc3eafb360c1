"""Faults for people: the table of `faults list`, the page of `faults show`. Level by colour and shape, times near and exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.badge import SHAPES, STYLES
from cli.words import joined
from collector.words import reason_shown
from config.language import _

_MARKS = tuple(zip(SHAPES, STYLES, strict=True))
_RANKS = {"1": 0, "A": 0, "2": 1, "B": 1, "3": 2, "C": 2, "4": 3, "D": 3}
_STATE_STYLE = {"opened": "bold red", "reopened": "bold red", "restored": "green", "observed": "green", "confirmed": "green"}
_NAMED = 20


def plain(text: object) -> str:
    """Return text on one line with nothing in it that moves a terminal's cursor."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text))


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
    except ValueError:
        return None


def near(text: object, now: datetime) -> str:
    """Return how far a time is from now: ``12 min ago``, ``in 3 h``; a dash for none."""
    moment = _moment(text)
    if moment is None:
        return "-"
    seconds = (moment - now).total_seconds()
    length = _length(abs(seconds))
    return _("in {length}").format(length=length) if seconds > 0 else _("{length} ago").format(length=length)


def _length(seconds: float) -> str:
    for size, words in ((86400, _("{count} d")), (3600, _("{count} h")), (60, _("{count} min"))):
        if seconds >= size:
            return words.format(count=int(seconds // size))
    return _("{count} s").format(count=int(seconds))


def absolute(text: object) -> str:
    """Return a time in the local zone to the second; a dash for none."""
    moment = _moment(text)
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}" if moment else "-"


def _moments(text: object, now: datetime) -> str:
    return _("{time} ({near})").format(time=absolute(text), near=near(text, now))


def level(fault: Mapping[str, Any], short: bool = False) -> Text:
    """Return the level as shape, id and (unless `short`) name in its colour."""
    shape, style = _MARKS[_RANKS.get(str(fault.get("level")), 1)]
    name = "" if short else plain(fault.get("level_name") or "")
    return Text(f"{shape} {plain(fault.get('level', ''))} {name}".rstrip(), style=style)


def next_clock(fault: Mapping[str, Any], now: datetime) -> Text:
    """Return the clock that is due next, or those missed."""
    clocks: Mapping[str, Any] = fault.get("clocks") or {}
    missed = [_(name) for name, clock in clocks.items() if clock.get("state") == "missed" and not clock.get("ended_at")]
    running = [(clock["due_at"], name) for name, clock in clocks.items() if clock.get("state") == "running" and clock["due_at"]]
    text = Text()
    if missed:
        text.append(_("missed: {names}").format(names=joined(missed)), style="bold red")
    if running:
        due_at, name = min(running)
        text.append((_(", ") if missed else "") + _until(name, due_at, now))
    return text or Text("-")


def _until(name: str, due_at: str, now: datetime) -> str:
    moment = _moment(due_at)
    left = (moment - now).total_seconds() if moment else 0.0
    words = _("{clock} in {length}") if left > 0 else _("{clock} overdue by {length}")
    return words.format(clock=_(name), length=_length(abs(left)))


def print_list(console: Console, faults: Iterable[Mapping[str, Any]], now: datetime | None = None) -> None:
    """Print one line for each fault."""
    moment = now or datetime.now(UTC)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in (_("level"), _("fault"), _("began")):
        table.add_column(title, no_wrap=True)
    for title in (_("what"), _("next clock")):
        table.add_column(title, overflow="fold")
    for fault in faults:
        state = plain(fault.get("state", ""))
        number = Text.assemble(plain(fault.get("id", "")), "\n", (_(state), _STATE_STYLE.get(state, "")))
        began = Text(f"{near(fault.get('began_at'), moment)}\n{absolute(fault.get('began_at'))}")
        affected = _("affected: {count}").format(count=len(fault.get("affected") or ()))
        what = Text.assemble(plain(fault.get("summary", "")), "\n", (affected, "dim"))
        table.add_row(level(fault, short=True), number, began, what, next_clock(fault, moment))
    console.print(table if table.row_count else _("No faults."))


def print_fault(console: Console, fault: Mapping[str, Any], now: datetime | None = None) -> None:
    """Print everything about one fault."""
    moment = now or datetime.now(UTC)
    console.print(
        Text.assemble(level(fault), "  ", (plain(fault.get("id", "")), "bold"), "  ", plain(fault.get("summary", "")))
    )
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for title, text in _facts(fault, moment):
        facts.add_row(Text(title, style="dim"), Text(plain(text)))
    console.print(facts)
    _print_clocks(console, fault, moment)
    _print_alarms(console, fault, moment)
    _print_history(console, fault)


def _facts(fault: Mapping[str, Any], now: datetime) -> list[tuple[str, str]]:
    affected = [plain(name) for name in fault.get("affected") or ()]
    named = joined(affected[:_NAMED]) + (" ..." if len(affected) > _NAMED else "")
    root = " ".join(part for part in (str(fault.get("device", "")), str(fault.get("component", ""))) if part)
    problem, reason = _(str(fault.get("problem", ""))), reason_shown(str(fault.get("reason", "")))
    facts = [
        (_("state"), _(str(fault.get("state", "")))),
        (_("root"), _("{root} ({problem}: {reason})").format(root=root, problem=problem, reason=reason)),
        (_("level because"), reason_shown(str(fault.get("level_reason") or "-"))),
        (_("affected"), _("{count}: {names}").format(count=len(affected), names=named)),
    ]
    for name, title in (("began_at", _("began")), ("opened_at", _("opened")), ("restored_at", _("restored"))):
        if fault.get(name):
            facts.append((title, _moments(fault[name], now)))
    for name, title in (("person", _("person")), ("merged_into", _("merged into")), ("reopened", _("reopened"))):
        if fault.get(name):
            facts.append((title, str(fault[name])))
    return facts


def _print_clocks(console: Console, fault: Mapping[str, Any], now: datetime) -> None:
    table = Table(_("clock"), _("state"), _("due"), box=None, padding=(0, 2, 0, 0), header_style="bold")
    styles = {"missed": "bold red", "met": "green", "running": "yellow"}
    for name, clock in (fault.get("clocks") or {}).items():
        state = str(clock.get("state"))
        if state == "not-applicable":
            table.add_row(_(name), Text("-", style="dim"), Text(plain(reason_shown(clock.get("reason") or "")), style="dim"))
            continue
        due = _moments(clock["due_at"], now) if clock.get("due_at") else "-"
        table.add_row(_(name), Text(_(state), style=styles.get(state, "")), due)
    console.print(table)


def _print_alarms(console: Console, fault: Mapping[str, Any], now: datetime) -> None:
    alarms = fault.get("alarms") or ()
    table = Table(_("alarm"), _("device"), _("condition"), _("since"), box=None, padding=(0, 2, 0, 0), header_style="bold")
    for alarm in alarms[:_NAMED]:
        where = " ".join(part for part in (alarm.get("device", ""), alarm.get("component", "")) if part)
        condition = _(alarm.get("condition", ""))
        if alarm.get("suppression", "none") != "none":
            condition = _("{condition} ({why})").format(condition=condition, why=_(alarm["suppression"]))
        since = near(alarm.get("cleared_at") or alarm.get("began_at"), now)
        table.add_row(Text(plain(alarm.get("rule", ""))), Text(plain(where)), Text(plain(condition)), since)
    console.print(table)
    if len(alarms) > _NAMED:
        console.print(_("... and {count} more alarms").format(count=len(alarms) - _NAMED))


def _print_history(console: Console, fault: Mapping[str, Any]) -> None:
    table = Table(_("when"), _("step"), _("who"), _("note"), box=None, padding=(0, 2, 0, 0), header_style="bold")
    for entry in fault.get("history") or ():
        fields = " ".join(f"{_(name)}={_told(name, value)}" for name, value in (entry.get("fields") or {}).items() if value)
        note = " ".join(part for part in (entry.get("note", ""), fields) if part)
        table.add_row(
            absolute(entry.get("at")), plain(_(entry.get("step", ""))), Text(plain(entry.get("person", ""))), Text(plain(note))
        )
    console.print(table)


def _told(name: str, value: str) -> str:
    """Return the value of one field of a history entry, for people."""
    if name == "due_at" and value.isascii() and value.isdigit():
        return absolute(datetime.fromtimestamp(int(value) / 1000, UTC).isoformat())
    return _(value) if name == "clock" else reason_shown(value)
