"""
Events of the log as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from json import dumps
from typing import Any

from twisted.logger import LogEvent, formatEvent
from twisted.python.reflect import safe_str


def jsonText(event: LogEvent) -> str:
    """
    Format an event: a JSON object on a line.  An event about several readers, which has
    their names as C{peers}, gives a line for each, with its name as C{peer}.

    @return: the lines.
    """
    return "".join(f"{_jsonObject(each)}\n" for each in _eachReader(event))


def _eachReader(event: LogEvent) -> Iterator[LogEvent]:
    peers = event.get("peers")
    if not (peers and isinstance(peers, (list, tuple))):
        yield event
        return
    others = {name: value for name, value in event.items() if name != "peers"}
    for peer in peers:
        yield {**others, "peer": peer}


def _jsonObject(event: LogEvent) -> str:
    # Format what every event has, then the fields of this one.
    entry = {
        "time": _time(event.get("log_time")),
        "level": getattr(event.get("log_level"), "name", None),
        "namespace": event.get("log_namespace"),
        "message": formatEvent(event),
    }
    failure = event.get("log_failure")
    if failure is not None:
        entry["traceback"] = _traceback(failure)
    # An event of twisted.python.log has its text and time as fields, too.
    skipped = ("message", "time") if "isError" in event else ()
    for name, value in event.items():
        if not (str(name).startswith("log_") or name in skipped):
            entry[f"{name}_" if name in entry else str(name)] = value
    fields = [f"{dumps(name)}: {_jsonValue(value)}" for name, value in entry.items()]
    return "{" + ", ".join(fields) + "}"


def _time(seconds: Any) -> str | None:
    try:
        time = datetime.fromtimestamp(seconds, timezone.utc)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return time.isoformat(timespec="microseconds")


def _traceback(failure: Any) -> str:
    try:
        return str(failure.getTraceback())
    except Exception:  # it calls __repr__ of any object
        return safe_str(failure)


def _jsonValue(value: Any) -> str:
    try:
        return dumps(value, allow_nan=False, default=_text)
    except Exception:  # infinity, a list that contains itself, ...
        return dumps(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    # The address of an object in memory helps nobody.
    return re.sub(r"( at)? 0x[0-9a-fA-F]{6,}", "", safe_str(value))
