"""The user's language. Every text a user sees passes through `_`; logs for machines and metric names do not.

Texts are written in English with named fields and filled after translation: ``_("{device} is down").format(device=name)``.
The language is known only when a text is shown: a text in a table is marked with `noted` and passes `_` when it is read.
"""

from __future__ import annotations

import contextvars
import gettext
import os
from pathlib import Path

LANGUAGES = ("en", "zh-CN")
DOMAIN = "watchkeeper"
CATALOGUES = Path(__file__).with_name("locale")
_catalogues: dict[str, gettext.NullTranslations] = {}
_current: contextvars.ContextVar[str | None] = contextvars.ContextVar("language", default=None)


def normalise(tag: str) -> str:
    """Return the supported language nearest to a BCP 47 tag or POSIX locale name (``zh_CN.UTF-8``); English if none is."""
    lowered = tag.lower().replace("_", "-")
    return "zh-CN" if lowered.startswith("zh") else "en"


def from_environment(environ: dict[str, str] | None = None) -> str:
    """Return the language the environment asks for (LC_ALL, LC_MESSAGES, LANG, in this order)."""
    env = os.environ if environ is None else environ
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if env.get(name):
            return normalise(env[name])
    return "en"


def use(tag: str) -> None:
    """Make this language the one for the current context (thread, task)."""
    _current.set(normalise(tag))


def current() -> str:
    """Return the language in force: the context's own, else the environment's."""
    return _current.get() or from_environment()


def noted(text: str) -> str:
    """Mark a text for translation and return it as it is; `_` translates it when it is shown."""
    return text


def translate(text: str, language: str | None = None) -> str:
    """Return the text in the given (or current) language; the text itself where no translation exists."""
    tag = normalise(language) if language else current()
    if tag == "en" or not text:
        return text
    if tag not in _catalogues:
        _catalogues[tag] = gettext.translation(DOMAIN, CATALOGUES, [tag.replace("-", "_")], fallback=True)
    return _catalogues[tag].gettext(text)


_ = translate
