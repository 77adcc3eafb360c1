"""The functions of instant vectors and scalars that work element by element, and the list of all functions known here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rules.promql.vector import Vector, empty
from rules.source import Mask, Values

Element = Callable[[Values], Values]


def _sign(values: Values) -> Values:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


def _seconds(values: Values) -> NDArray[np.datetime64]:
    whole = np.trunc(np.nan_to_num(np.clip(values, -6e10, 2.5e11), nan=0.0))
    return whole.astype(np.int64).astype("datetime64[s]")


def _part(values: Values, fine: str, coarse: str) -> Values:
    at = _seconds(values)
    return cast(Values, (at.astype(f"datetime64[{fine}]") - at.astype(f"datetime64[{coarse}]")).astype(np.float64))


def _month_length(values: Values) -> Values:
    month = _seconds(values).astype("datetime64[M]")
    return cast(Values, ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.float64))


def _known_time(part: Element) -> Element:
    """Leave NaN and infinities, which are no time, as NaN."""
    return lambda values: np.where(np.isfinite(values), part(values), np.nan)


ELEMENTWISE: dict[str, Element] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "rad": lambda values: values * math.pi / 180,
    "deg": lambda values: values * 180 / math.pi,
    "sgn": _sign,
}

CALENDAR: dict[str, Element] = {
    "year": _known_time(lambda v: _seconds(v).astype("datetime64[Y]").astype(np.float64) + 1970),
    "month": _known_time(lambda v: _part(v, "M", "Y") + 1),
    "day_of_month": _known_time(lambda v: _part(v, "D", "M") + 1),
    "day_of_year": _known_time(lambda v: _part(v, "D", "Y") + 1),
    "day_of_week": _known_time(lambda v: (_seconds(v).astype("datetime64[D]").astype(np.float64) + 4) % 7),
    "days_in_month": _known_time(_month_length),
    "hour": _known_time(lambda v: _part(v, "h", "D")),
    "minute": _known_time(lambda v: _part(v, "m", "h")),
}

_OF_RANGES = (
    "rate increase delta irate idelta deriv predict_linear changes resets avg_over_time min_over_time max_over_time "
    "sum_over_time count_over_time quantile_over_time stddev_over_time stdvar_over_time last_over_time first_over_time "
    "present_over_time absent_over_time mad_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time "
    "ts_of_min_over_time double_exponential_smoothing"
)
_OF_VECTORS = (
    "clamp clamp_min clamp_max round scalar vector time timestamp pi absent label_replace label_join sort sort_desc "
    "histogram_quantile histogram_fraction"
)
KNOWN = frozenset(ELEMENTWISE) | frozenset(CALENDAR) | frozenset(f"{_OF_RANGES} {_OF_VECTORS}".split())


def elementwise(function: Element, vector: Vector) -> Vector:
    """Return the vector with a function applied to every value."""
    with np.errstate(all="ignore"):
        return vector.with_values(np.asarray(function(vector.values), np.float64))


def clamp(vector: Vector, low: float, high: float) -> Vector:
    """Return the vector with its values held within [low, high]; nothing at all if high < low; NaN if a bound is."""
    if high < low:
        return empty()
    return vector.with_values(np.maximum(low, np.minimum(high, vector.values)))


def rounded(vector: Vector, nearest: float) -> Vector:
    """Return the values rounded to a multiple of `nearest`, ties upwards."""
    with np.errstate(all="ignore"):
        inverse = np.float64(1.0) / np.float64(nearest)
        return vector.with_values(np.floor(vector.values * inverse + 0.5) / inverse)


def sort(vector: Vector, descending: bool) -> Vector:
    """Return the elements by value, NaN last either way."""
    missing: Mask = np.isnan(vector.values)
    keyed = np.where(missing, 0.0, -vector.values if descending else vector.values)
    found = vector.take(np.lexsort((keyed, missing)))
    found.ordered = True
    return found
