"""How long the fault engine waits for what. Seconds; a site's own reopen window comes from its file."""

from __future__ import annotations

from dataclasses import dataclass, field

from collector.flap import Damper


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """The bounds of every wait. None of them delays watching, only the opening of a record or its end."""

    settle_s: float = 0.5  # a device behind others: for a message of its upstream that is on the way
    upstream_s: float = 3.0  # its upstream is suspect or dark without a record: for the upstream's verdict
    child_s: float = 75.0  # its upstream is back: for the agent's own verdict, which comes within 60 s and ends the wait
    boot_s: float = 120.0  # its mains is back: for it to start
    agent_s: float = 10.0  # its agent sees again: for what the agent says then
    unheard_s: float = 60.0  # it answers again: for an alarm that ended unheard to be raised again
    together_s: float = 30.0  # a record younger than its upstream's failure by no more than this is part of it
    ring_s: float = 10.0  # the ends of a ring segment go dark within this
    late_s: float = 30.0  # what is learned later than this is judged on its own event time
    observe_s: float = 300.0  # restored and good for so long: observed
    reopen_s: float = 1800.0
    damper: Damper = field(default_factory=Damper)  # tells what flaps
