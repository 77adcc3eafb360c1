"""The tables of the database and the way from one version of them to the next. Only SQL texts; runs nothing."""

from __future__ import annotations

from collector.store import agents, audit, faults, identity, rulestate, samples

# One entry for each version: what makes version n + 1 of version n, and says so. Entries are appended, and never altered
# once released.
MIGRATIONS: tuple[str, ...] = (
    "".join(
        (
            agents.SCHEMA,
            samples.SCHEMA,
            identity.SCHEMA,
            rulestate.SCHEMA,
            audit.SCHEMA,
            faults.SCHEMA,
            "PRAGMA user_version = 1;\n",
        )
    ),
)
