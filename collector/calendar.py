"""Time that counts: adds a contract's allowance to a moment on a calendar, in the site's time zone. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from config.contract import ALWAYS, Allowance, Calendar

_MAX_DAYS = 3660  # a calendar without working days must not run for ever


def local(at: int, zone: ZoneInfo) -> datetime:
    """Return a moment (ms since the epoch) as local time."""
    return datetime.fromtimestamp(at / 1000, zone)


def _moment(day: date, minute: int, zone: ZoneInfo) -> int:
    start = datetime.combine(day, time(0), zone) + timedelta(minutes=minute)
    return round(start.timestamp() * 1000)


def _spans(calendar: Calendar, first: date, zone: ZoneInfo) -> Iterator[tuple[date, int, int]]:
    for ahead in range(_MAX_DAYS):
        day = first + timedelta(days=ahead)
        if day.weekday() in calendar.weekdays:
            for start, end in calendar.spans:
                yield day, _moment(day, start, zone), _moment(day, end, zone)


def counts(calendar: Calendar, at: int, zone: ZoneInfo) -> bool:
    """Return whether the calendar counts at this moment."""
    day = local(at, zone)
    minute = day.hour * 60 + day.minute
    return day.weekday() in calendar.weekdays and any(start <= minute < end for start, end in calendar.spans)


def deadline(start: int, allowance: Allowance, calendar: Calendar, zone: ZoneInfo) -> int:
    """Return when (ms) an allowance that begins at `start` is used up.

    A working day is as much time as one of the calendar's days holds; time outside it does not count.

    Raises:
        ValueError: the calendar has no working time within ten years.
    """
    if allowance.end_of_day:
        return _end_of_day(start, allowance.days, calendar, zone)
    left = allowance.seconds * 1000 + allowance.days * calendar.day_seconds * 1000
    if calendar.name == ALWAYS:
        return start + round(left)
    for _day, begin, end in _spans(calendar, local(start, zone).date(), zone):
        begin = max(begin, start)
        if begin >= end:
            continue
        if end - begin >= left:
            return begin + round(left)
        left -= end - begin
    raise ValueError(f"calendar {calendar.name} has no working time")


def _end_of_day(start: int, days: int, calendar: Calendar, zone: ZoneInfo) -> int:
    """Return the end of the `days`-th working day after the day of `start`."""
    today = local(start, zone).date()
    ends: dict[date, int] = {}
    for day, _begin, end in _spans(calendar, today + timedelta(days=1), zone):
        if day not in ends and len(ends) == days:
            break
        ends[day] = end
    if len(ends) < days:
        raise ValueError(f"calendar {calendar.name} has no working time")
    return max(ends.values())
