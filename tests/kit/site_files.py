"""Site files to try things on: a folder with two profiles, a few secrets and whatever the test writes."""

from __future__ import annotations

from pathlib import Path

from config.errors import ConfigErrors
from config.load import load_site
from config.site import Site

ENVIRON = {"COMMUNITY": "public", "TOKEN": "0123456789abcdef", "TOKEN2": "fedcba9876543210", "SHORT": "short", "EMPTY": ""}
HEAD = "site: {name: s, contract: campus-network}\n"
CANARY = "S3cret"


def site_folder(folder: Path) -> Path:
    """Fill a folder with profiles for switch and ups, and secrets good and bad; return it."""
    profiles = folder / "profiles"
    profiles.mkdir()
    for name in ("switch", "ups"):
        (profiles / f"{name}.yaml").write_text(
            f"{{profile: {name}, class: {name}, steps: [{{probe: icmp, lane: reach, name: ping}}]}}\n"
        )
    secrets = {
        "good": (b"S3cret-good\n", 0o600),
        "open": (b"S3cret\n", 0o644),
        "empty": (b"\n", 0o600),
        "large": (b"S3cret" * 20_000, 0o600),
        "lines": (b"S3cret\nS3cret\n", 0o600),
        "binary": (b"\xffS3cret", 0o600),
    }
    for name, (content, mode) in secrets.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(mode)
    return folder


def load(folder: Path, text: str | bytes) -> Site:
    """Write site.yaml into a folder made by `site_folder` and load it."""
    path = folder / "site.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_site(path, ENVIRON)


def mistakes(folder: Path, text: str | bytes) -> list[str]:
    """Return the errors of a site file as text, the folder's path left out; none if it is good."""
    try:
        load(folder, text)
    except ConfigErrors as errors:
        return [str(error).replace(f"{folder}/", "") for error in errors.errors]
    return []
