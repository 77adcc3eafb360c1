"""Why a question ended as it did: one closed list for every protocol, shown, logged, counted and tested."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """The outcome of one question to one device. `OK` is the only good one."""

    OK = "ok"
    TIMEOUT = "timeout"  # no answer before the deadline
    REFUSED = "refused"  # ICMP port unreachable, TCP RST
    UNREACHABLE = "unreachable"  # no route, host or network unreachable
    RESOLVE = "resolve"  # the name has no address
    NO_PERMISSION = "no_permission"  # this machine may not ask (raw sockets)
    AUTH = "auth"  # credentials refused, unknown user, wrong digest
    NO_CREDENTIALS = "no_credentials"  # the site file gives none that fit
    ERROR_STATUS = "error_status"  # the device answered with an error
    NO_SUCH_OBJECT = "no_such_object"  # the device does not have what was asked
    WRONG_TYPE = "wrong_type"  # an answer of a type that cannot be that object
    MALFORMED = "malformed"  # nothing decodable
    MISMATCH = "mismatch"  # an answer to another question
    NOT_INCREASING = "not_increasing"  # a walk that turns back
    TOO_BIG = "too_big"  # more than the cap
    ENGINE_CHANGED = "engine_changed"  # SNMPv3 engine id is not the known one
    NOT_IN_TIME_WINDOW = "not_in_time_window"  # SNMPv3 time could not be agreed on
    HOST_KEY_UNKNOWN = "host_key_unknown"
    HOST_KEY_CHANGED = "host_key_changed"
    NO_COMMON_ALGORITHM = "no_common_algorithm"
    TLS = "tls"  # handshake or certificate refused
    PROTOCOL = "protocol"  # spoke, but not as the protocol says
    PROMPT = "prompt"  # a command line that asks something nobody may answer
    BACKING_OFF = "backing_off"  # not asked: an earlier refusal is being waited out
    INTERNAL = "internal"  # a bug of ours; logged with its traceback
