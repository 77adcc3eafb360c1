"""What the demo shows in the terminal: a line for every change, whoever caused it, and a table at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.badge import badge
from cli.desk import Clock, FaultRow
from cli.words import joined
from config.contract import Contract
from config.language import _
from simulator.spec import PersonaStep, StepSpec

SCRIPT, PERSON = "dim", "green"
WIDE = 110  # columns from which the table shows times


class Screen:
    """Writes to a console; one that is quiet writes nothing. Knows the contract's levels, and asks nobody."""

    def __init__(self, console: Console, contract: Contract) -> None:
        """Show the levels of this contract."""
        self._console = console
        self._ranks = {level.id: rank for rank, level in enumerate(contract.levels)}

    def say(self, text: str, style: str = "") -> None:
        """Write one line as it is."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def script(self, at_s: float, step: StepSpec) -> None:
        """Say what the script did to a device."""
        part = " ".join(str(word) for word in (step.port, step.part) if word)
        word = _(step.do.replace("-", " "))
        self._line(at_s, Text(_("script"), style=SCRIPT), Text(f"{step.on}: {word} {part}".rstrip(), style=SCRIPT))

    def person(self, at_s: float, fault: FaultRow, step: PersonaStep) -> None:
        """Say what the scripted operator does."""
        words = _("{person} (scripted): {step} {fault}").format(person=step.person, step=_(step.step), fault=fault.id)
        note = f" – {_(step.note)}" if step.note else ""
        self._line(at_s, Text(_("operator"), style=PERSON), Text(words + note, style=PERSON))

    def change(self, at_s: float, before: FaultRow | None, after: FaultRow) -> None:
        """Show a fault that opened or changed."""
        told = Text(f"{after.id}  {after.summary or after.problem}  ")
        told.append(joined(changes(before, after)), style="bold")
        told.append(f"  {clocks(after)}", style="dim")
        self._line(at_s, self.badge(after), told)

    def badge(self, fault: FaultRow) -> Text:
        """Return the badge of a fault's level."""
        return badge(self._ranks.get(fault.level, len(self._ranks)), f"{fault.level} {fault.level_name}".strip())

    def summary(self, faults: Sequence[FaultRow], missing: Iterable[str], false_alarms: Iterable[str]) -> None:
        """Show the table of all faults and whether they are the ones that the script was to cause."""
        narrow = self._console.width < WIDE
        table = Table(title=_("faults of this run"), title_justify="left")
        for name in (_("level"), _("fault"), _("what"), _("state")):
            table.add_column(name, no_wrap=name != _("what"))
        for name in () if narrow else (_("opened"), _("restored"), _("closed"), _("affected")):
            table.add_column(name, no_wrap=True)
        for fault in faults:
            times = (_clock_time(at) for at in (fault.opened_at, fault.restored_at, fault.closed_at))
            what = Text(fault.summary or f"{fault.device} {fault.problem}")
            more = () if narrow else (*times, str(len(fault.affected)))
            table.add_row(self.badge(fault), fault.id, what, _(fault.state), *more)
        self._console.print(table)
        for name in missing:
            self.say(_("expected and not seen: {name}").format(name=name), "bold red")
        for name in false_alarms:
            self.say(_("seen and not expected: {name}").format(name=name), "bold red")

    def _line(self, at_s: float, label: Text, told: Text) -> None:
        line = Text(f"{at_s:6.1f} s  ")
        line.append_text(label)
        line.pad_right(max(1, 26 - line.cell_len))
        line.append_text(told)
        self._console.print(line, soft_wrap=True)


def changes(before: FaultRow | None, after: FaultRow) -> list[str]:
    """Return what changed, in words."""
    if before is None:
        return [_(after.state)]
    words = []
    if before.level != after.level:
        words.append(_("level {before} becomes {after}").format(before=before.level, after=after.level))
    if before.state != after.state:
        words.append(_(after.state))
    if len(before.affected) != len(after.affected):
        words.append(_("{count} affected").format(count=len(after.affected)))
    if before.device != after.device:
        words.append(_("the root is {device}").format(device=after.device))
    return words


def clocks(fault: FaultRow) -> str:
    """Return the clocks that have ended, and the running one that is due next."""
    words = [f"{_(name)} {_(clock.state)}" for name, clock in fault.clocks.items() if clock.state in ("met", "missed")]
    running = [(clock.due_at, name) for name, clock in fault.clocks.items() if _runs(clock) and clock.due_at]
    if running and not fault.closed_at:
        due, name = min(running)
        words.append(_("{clock} by {time}").format(clock=_(name), time=_clock_time(due)))
    return " · ".join(words)


def _runs(clock: Clock) -> bool:
    return clock.state == "running"


def _clock_time(at: str | None) -> str:
    """Return local time of day of an RFC 3339 time."""
    return datetime.fromisoformat(at).astimezone().strftime("%H:%M:%S") if at else "–"
