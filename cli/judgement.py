"""Whether a run of a scenario showed the faults that its `expect` names, and no others. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cli.desk import FaultRow
from simulator.spec import ExpectedFault


def judge(expected: Sequence[ExpectedFault], faults: Sequence[FaultRow]) -> tuple[list[str], list[str]]:
    """Return what was expected and not seen, and what was seen and not expected. Merged faults count for neither."""
    seen = [fault for fault in faults if fault.state != "merged"]
    missing = [f"{e.device} {e.problem}".strip() for e in expected if not any(_fits(e, fault) for fault in seen)]
    strange = [f"{f.device} {f.problem}" for f in seen if not any(_fits(e, f, root_only=True) for e in expected)]
    return missing, strange


def _fits(expected: ExpectedFault, fault: FaultRow, *, root_only: bool = False) -> bool:
    if fault.device != expected.device or (expected.problem and fault.problem != expected.problem):
        return False
    if root_only:
        return True
    if (expected.level and fault.level != expected.level) or (expected.state and fault.state != expected.state):
        return False
    return expected.affected is None or set(expected.affected) == set(fault.affected)
