"""`watchkeeper`: reads the command line and hands over to the verb's own file. Does nothing else."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from cli import foreign, logs
from cli.arguments import Parser, speak
from config.language import _, current, from_environment, use

VERBS = (
    "demo", "up", "agent", "collector", "check", "probe", "faults", "doctor", "simulate",
)  # fmt: skip

LASTING = frozenset({"up", "agent", "collector"})  # they end at SIGTERM as they should: with status 0


def release() -> str:
    """Return the installed version, or ``0+unknown`` in a tree that is not installed."""
    try:
        return version("watchkeeper")
    except PackageNotFoundError:
        return "0+unknown"


def parser(verbs: Sequence[str] = VERBS) -> argparse.ArgumentParser:
    """Return the parser with the named verbs; each verb's file adds its own arguments."""
    top: argparse.ArgumentParser = Parser(
        prog="watchkeeper",
        description=_("Asks every device on a site how it is, and keeps one fault record for each real fault."),
        epilog=_(
            "Start here:\n"
            "  watchkeeper demo                     see it work, no site needed\n"
            "  watchkeeper check site.yaml          every mistake in a site file, with line and suggestion\n"
            "  watchkeeper probe -c site.yaml NAME  ask one device once, see every sample\n"
            "  watchkeeper up -c site.yaml          watch the site\n"
            "  watchkeeper faults list -c site.yaml what is wrong right now\n"
        ),
    )
    top.add_argument("--version", action="version", version=f"watchkeeper {release()}", help=_("show the version and exit"))
    top.add_argument(
        "--log-format",
        choices=("text", "json"),
        default=os.environ.get("WATCHKEEPER_LOG_FORMAT", "text"),
        help=_("log lines for people (text) or for machines (json)"),
    )
    top.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default=os.environ.get("WATCHKEEPER_LOG_LEVEL", "info"),
        help=_("the least severity that is logged"),
    )
    top.add_argument("--language", choices=("en", "zh-CN"), help=_("language of all texts; default: the locale's"))
    subparsers = top.add_subparsers(dest="verb", metavar=_("COMMAND"), required=True)
    for verb in verbs:
        _module(verb).add_parser(subparsers)
    return top


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"cli.{verb}")


def _language(argv: Sequence[str]) -> str:
    """Return the language that is asked for; English where only the environment asks for what cannot be written here."""
    for at, word in enumerate(argv):
        if word == "--language" and at + 1 < len(argv):
            return argv[at + 1]
        if word.startswith("--language="):
            return word.partition("=")[2]
    language = from_environment()
    try:
        _("usage: ", language).encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return "en"
    return language


def _write_anything() -> None:
    """Let no text fail for a character that the terminal's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit status: 0 well, 1 the thing asked about is wrong, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if LASTING.intersection(words):
            signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # while it loads; the verb takes over once it runs
            signal.signal(signal.SIGINT, lambda *_: os._exit(130))
            if hasattr(signal, "SIGHUP"):
                signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the site file is read after this anyway
        return _verb(words)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _verb(words: Sequence[str]) -> int:
    _write_anything()
    use(_language(words))
    speak(current())
    named = [word for word in words if word in VERBS]
    args = parser(named[:1] or VERBS).parse_args(words)
    logs.configure(args.log_format, args.log_level)
    trouble = foreign.owners()
    if trouble:
        for line in trouble:
            print(line, file=sys.stderr)
        return 2
    return int(_module(args.verb).run(args))


if __name__ == "__main__":
    raise SystemExit(main())
