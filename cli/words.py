"""The fixed words of tables and pages that people read in their own language. Words only; decides nothing.

A record keeps the English word. Whoever shows it passes it through `config.language._`, which knows these.
"""

from __future__ import annotations

from collections.abc import Iterable

from config.language import _, noted

STATES = (
    noted("opened"),
    noted("accepted"),
    noted("assigned"),
    noted("arrived"),
    noted("restored"),
    noted("observed"),
    noted("confirmed"),
    noted("closed"),
    noted("reopened"),
    noted("merged"),
)
CLOCKS = (noted("respond"), noted("remote"), noted("arrive"), noted("restore"), noted("report"))
CLOCK_STATES = (noted("running"), noted("met"), noted("missed"), noted("paused"), noted("not-applicable"))
STEPS = (
    noted("ack"),
    noted("assign"),
    noted("confirm"),
    noted("close"),
    noted("reopen"),
    noted("level"),
    noted("note"),
    noted("affected"),
    noted("root"),
    noted("absorbed"),
    noted("contributing"),
    noted("flapping"),
    noted("calm"),
    noted("clock-warning"),
    noted("clock-missed"),
)
FIELDS = (
    noted("why"),
    noted("reason"),
    noted("from"),
    noted("to"),
    noted("into"),
    noted("fault"),
    noted("faults"),
    noted("count"),
    noted("joined"),
    noted("left"),
    noted("percent"),
    noted("due_at"),
    noted("devices"),
)
CONDITIONS = (noted("pending"), noted("raised"), noted("cleared"))
SUPPRESSIONS = (
    noted("behind-upstream"),
    noted("maintenance"),
    noted("shelved"),
)
ANSWERS = (
    noted("ok"),
    noted("timeout"),
    noted("refused"),
    noted("unreachable"),
    noted("resolve"),
    noted("no_permission"),
    noted("auth"),
    noted("no_credentials"),
    noted("error_status"),
    noted("no_such_object"),
    noted("wrong_type"),
    noted("malformed"),
    noted("mismatch"),
    noted("not_increasing"),
    noted("too_big"),
    noted("engine_changed"),
    noted("not_in_time_window"),
    noted("host_key_unknown"),
    noted("host_key_changed"),
    noted("no_common_algorithm"),
    noted("tls"),
    noted("protocol"),
    noted("prompt"),
    noted("backing_off"),
    noted("internal"),
)
ACTIONS = (  # what a scenario's timeline does to devices
    noted("device dies"),
    noted("device returns"),
    noted("device reboots"),
    noted("link cut"),
    noted("link mends"),
    noted("loss"),
    noted("port down"),
    noted("port up"),
    noted("port flaps"),
    noted("mains fails"),
    noted("mains returns"),
    noted("ups runtime"),
    noted("port errors"),
    noted("cpu load"),
    noted("storage used"),
    noted("lamp hours"),
    noted("lamp fails"),
    noted("lamp replaced"),
    noted("projector error"),
    noted("supply level"),
    noted("cover opens"),
    noted("cover closes"),
    noted("paper jams"),
    noted("paper cleared"),
    noted("stream stops"),
    noted("stream returns"),
    noted("recording stops"),
    noted("recording returns"),
    noted("disk fails"),
    noted("disk replaced"),
    noted("call starts"),
    noted("call ends"),
    noted("sip fails"),
    noted("sip returns"),
)
NOTES = (  # what the demo's scripted operator writes down
    noted("calling the power company"),
    noted("generator on the truck"),
    noted("all four pictures are back"),
    noted("power supply replaced"),
    noted("new lamp"),
    noted("patch cord changed"),
    noted("new toner"),
)


def joined(words: Iterable[str]) -> str:
    """Return words as a list in a sentence."""
    return _(", ").join(words)
