"""Words of others that users meet in our messages: the operating system's (strerror) and the YAML parser's. Words only.

They pass `config.language._` where a message takes them in; one that is not listed here stays as it is.
"""

from __future__ import annotations

from config.language import noted

SYSTEM = (
    noted("Address already in use"),
    noted("Cannot assign requested address"),
    noted("Connection refused"),
    noted("Connection reset by peer"),
    noted("File exists"),
    noted("File name too long"),
    noted("Input/output error"),
    noted("Is a directory"),
    noted("Network is unreachable"),
    noted("No route to host"),
    noted("No space left on device"),
    noted("No such file or directory"),
    noted("Not a directory"),
    noted("Permission denied"),
    noted("Read-only file system"),
    noted("Too many levels of symbolic links"),
    noted("Too many open files"),
)
YAML_PROBLEMS = (
    noted("block collection entries are not allowed in this context"),
    noted("block sequence entries are not allowed in this context"),
    noted("could not find expected ':'"),
    noted("did not find expected ',' or ']'"),
    noted("did not find expected ',' or '}'"),
    noted("did not find expected '-' indicator"),
    noted("did not find expected key"),
    noted("did not find expected node content"),
    noted("did not find expected whitespace or line break"),
    noted("found character that cannot start any token"),
    noted("found unexpected end of stream"),
    noted("found unknown escape character"),
    noted("mapping keys are not allowed in this context"),
    noted("mapping values are not allowed in this context"),
)
YAML_CONTEXTS = (
    noted("while parsing a block collection"),
    noted("while parsing a block mapping"),
    noted("while parsing a flow mapping"),
    noted("while parsing a flow node"),
    noted("while parsing a flow sequence"),
    noted("while scanning a plain scalar"),
    noted("while scanning a quoted scalar"),
    noted("while scanning a simple key"),
    noted("while scanning a tag"),
    noted("while scanning an alias"),
    noted("while scanning an anchor"),
    noted("while scanning for the next token"),
)
