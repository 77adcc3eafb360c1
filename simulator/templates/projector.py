"""A projector with one lamp: what PJLink tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.model import Act, Model
from simulator.spec import DeviceSpec, StepSpec

PARTS = ("fan", "lamp", "temperature", "cover", "filter", "other")  # the order of ERST
HOUR_S = 3600.0


class Projector(Model):
    """Is on; its lamp ages by the hour, each part is ok (0), warns (1) or has failed (2)."""

    protocols: ClassVar[tuple[str, ...]] = ("pjlink",)
    product: ClassVar[str] = "PT-SIM670"

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make a projector that is on, with a lamp of `spec.lamp_hours` hours."""
        super().__init__(spec, seed)
        self.power = 1
        self.errors = dict.fromkeys(PARTS, 0)
        self._lamp_s = spec.lamp_hours * HOUR_S
        self._lamp_at = 0.0

    @classmethod
    def parts(cls, spec: DeviceSpec, action: str) -> tuple[str, ...]:
        """Return the parts that ERST tells of."""
        return PARTS

    def lamp_hours(self, now: float) -> int:
        """Return the hours the lamp has burnt."""
        return int((self._lamp_s + (now - self._lamp_at)) / HOUR_S)

    def error_status(self) -> str:
        """Return the six digits of ERST."""
        return "".join(str(self.errors[part]) for part in PARTS)

    def _hours(self, step: StepSpec, now: float) -> None:
        self._lamp_s, self._lamp_at = step.value * HOUR_S, now

    def _lamp_fail(self, step: StepSpec, now: float) -> None:
        self.errors["lamp"] = 2

    def _lamp_replace(self, step: StepSpec, now: float) -> None:
        self.errors["lamp"] = 0
        self._lamp_s, self._lamp_at = 0.0, now

    def _error(self, step: StepSpec, now: float) -> None:
        self.errors[step.part] = int(step.value)

    actions: ClassVar[Mapping[str, Act]] = {
        "lamp-hours": _hours,
        "lamp-fails": _lamp_fail,
        "lamp-replaced": _lamp_replace,
        "projector-error": _error,
    }
