"""
Write what is made of the tables of options: the section OPTIONS of the manual pages,
and the words that zsh completes after C{get-poetry}.

    python -m man.generate
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from twisted.python import usage

from fastpoetry.commands import proxytap, tap, transformtap
from fastpoetry.commands.arguments import makeParser

ROOT = Path(__file__).resolve().parent.parent
PLUGINS: dict[str, type[usage.Options]] = {
    "man/fastpoetry.8": tap.Options,
    "man/poetry-proxy.8": proxytap.Options,
    "man/poetry-transform.8": transformtap.Options,
}
GET_POETRY = "man/get-poetry.1"
COMPLETION = "completion/_get-poetry"


class Option(NamedTuple):
    """
    An option of a command, or its arguments.

    @ivar names: how it is written.

    @ivar value: what follows; nothing after a flag.

    @ivar text: its help.
    """

    names: list[str]
    value: str
    text: str


def pluginOptions(options: usage.Options) -> Iterator[Option]:
    """
    @return: the options of a plugin, as C{--help} has them.
    """
    # Of a class that is inherited twice, each is there twice.
    entries = {entry.rstrip("="): entry for entry in options.longOpt}
    for name, entry in sorted(entries.items()):
        shorts = [key for key, long in options.synonyms.items() if long == name]
        names = [f"-{key}" for key in sorted(shorts) if len(key) == 1]
        text = " ".join(options.docs[name].split())
        value = ""
        if entry != name:
            value = _valueOf(options, name)
            default = options.defaults.get(name)
            text += "" if default is None else f" [default: {default}]"
        yield Option([*names, f"--{name}"], value, text)


def _valueOf(options: usage.Options, name: str) -> str:
    for owner in type(options).__mro__:
        completions = vars(owner).get("compData")
        if completions is not None and name in completions.optActions:
            return _describe(completions.optActions[name]) or name
    return name


def _describe(action: usage.Completer) -> str:
    if isinstance(action, usage.CompleteList):
        return "|".join(action._items)
    return action._descr or ""


def commandOptions() -> Iterator[Option]:
    """
    @return: the options of C{get-poetry}, and its arguments.
    """
    for action in makeParser()._actions:
        value = str(action.metavar or "")
        text = (action.help or "") % vars(action)
        yield Option(list(action.option_strings), value, text)


def options(path: str) -> list[Option]:
    """
    @param path: of a manual page.

    @return: what it is about.
    """
    if path == GET_POETRY:
        return list(commandOptions())
    return list(pluginOptions(PLUGINS[path]()))


def troff(text: str) -> str:
    """
    @return: text, as it is written in a manual page.
    """
    for character, escape in [
        *[("\\", r"\e"), ("-", r"\-"), ("^", r"\(ha")],
        *[("~", r"\(ti"), ("'", r"\(aq"), ("`", r"\(ga")],
    ]:
        text = text.replace(character, escape)
    return text


def section(entries: list[Option]) -> str:
    """
    @return: a section OPTIONS.
    """
    lines = [".SH OPTIONS"]
    for names, value, text in entries:
        head = ", ".join(rf"\fB{troff(name)}\fR" for name in names)
        joint = "=" if names and value else ""
        value = rf"\fI{troff(value)}\fR" if value else ""
        lines += [".TP", f"{head}{joint}{value}"]
        # A dot at the beginning of a line would be a request.
        for line in textwrap.wrap(text, 72, break_on_hyphens=False):
            lines.append(rf"\&{troff(line)}" if line[0] in ".'" else troff(line))
    return "\n".join(lines) + "\n"


def page(path: str) -> str:
    """
    @return: a manual page, with its section OPTIONS as the table is now.
    """
    text = (ROOT / path).read_text("utf-8")
    start = text.index(".SH OPTIONS\n")
    end = text.index(".SH ", start + 1)
    return text[:start] + section(options(path)) + text[end:]


def completion() -> str:
    """
    @return: what zsh completes after C{get-poetry}.
    """
    specs = []
    for names, value, text in commandOptions():
        text = re.sub(r"([]\\[])", r"\\\1", text)
        value = value.replace(":", r"\:")
        if not names:
            specs.append(f"*:{value}:_hosts")
        elif "--help" in names or "--version" in names:
            specs += [f"(- *){name}[{text}]" for name in names]
        else:
            end = f"=[{text}]:{value}:" if value else f"[{text}]"
            specs += [f"{name}{end}" for name in names]
    quoted = ["'" + spec.replace("'", r"'\''") + "'" for spec in specs]
    lines = ["#compdef get-poetry", "# Made by: python -m man.generate", ""]
    return "\n".join(lines) + " \\\n  ".join(["_arguments", *quoted]) + "\n"


def generate() -> dict[str, str]:
    """
    @return: each file, by its path in the checkout.
    """
    made = {path: page(path) for path in [*PLUGINS, GET_POETRY]}
    return {**made, COMPLETION: completion()}


if __name__ == "__main__":
    for path, text in generate().items():
        (ROOT / path).write_text(text, "utf-8")
