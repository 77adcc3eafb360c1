"""Reading the options of one step: typed, bounded, every unknown key refused. The probes decide which options there are.

A probe's compile function raises `OptionError`; `probes.registry` adds profile and step and raises `StepError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from config.language import _
from config.profile import Step


class OptionError(ValueError):
    """One option of a step is wrong. `key` is its path inside the step, `text` says what is wrong and what would be right."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}" if key else text)
        self.key = key
        self.text = text


class StepError(ValueError):
    """A step of a profile cannot be compiled: in which profile, which step, which key, and why."""

    def __init__(self, profile: str, step: str, key: str, text: str) -> None:
        place = _("profile {profile}, step {step}").format(profile=profile, step=step)
        where = f"{place}, {key}" if key else place
        super().__init__(f"{where}: {text}")
        self.profile = profile
        self.step = step
        self.key = key
        self.text = text


class Options:
    """The options of one step, each read once by name; `done` refuses what nobody read."""

    def __init__(self, step: Step) -> None:
        self._values: Mapping[str, object] = step.options
        self._known: list[str] = []

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise OptionError(key, _("must be a whole number from {low} to {high}").format(low=low, high=high))
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise OptionError(key, _("must be a number from {low} to {high}").format(low=low, high=high))
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise OptionError(key, _("must be true or false"))
        return value

    def text(self, key: str, default: str = "", *, choices: tuple[str, ...] = ()) -> str:
        """Return a text, one of `choices` where there are any."""
        value = self._take(key, default)
        if not isinstance(value, str) or (choices and value not in choices):
            what = _("must be one of {choices}").format(choices=", ".join(choices)) if choices else _("must be a text")
            raise OptionError(key, what)
        return value

    def integers(self, key: str, default: tuple[int, ...], low: int, high: int) -> tuple[int, ...]:
        """Return a list of whole numbers from `low` to `high`; a single number is a list of one."""
        value = self._take(key, list(default))
        items = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(item, bool) or not isinstance(item, int) or not low <= item <= high for item in items):
            raise OptionError(key, _("must be whole numbers from {low} to {high}").format(low=low, high=high))
        return tuple(items)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; a single text is a list of one."""
        value = self._take(key, [])
        items = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(item, str) for item in items):
            raise OptionError(key, _("must be a list of texts"))
        return tuple(items)

    def done(self) -> None:
        """Refuse every option that was not read.

        Raises:
            OptionError: the first unknown key, with the nearest known one.
        """
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(str(key), self._known, n=1)
                hint = _("; did you mean {near}?").format(near=near[0]) if near else ""
                raise OptionError(str(key), _("is not an option of this probe") + hint)

    def _take(self, key: str, default: object) -> object:
        self._known.append(key)
        return self._values.get(key, default)
