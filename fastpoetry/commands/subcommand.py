"""
The options that every subcommand of C{twistd} has.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from twisted.application.app import ServerOptions
from twisted.python import usage

from fastpoetry import __version__
from fastpoetry.commands.output import unbuffered, writeAll
from fastpoetry.commands.twistdoptions import checkServerOptions
from fastpoetry.descriptors import raiseDescriptorLimit
from fastpoetry.log import openStreams
from fastpoetry.text import brief, explain


class SubcommandOptions(usage.Options):
    """
    Options that refuse a mistake in one sentence, with a status that is not 0.
    """

    def __init__(self) -> None:
        self._stdout = sys.stdout
        # To parse an endpoint imports the reactor.  These come before it.
        openStreams()
        super().__init__()
        # The help shows the docstring of an opt_ method with its indentation.
        self.docs = {
            name: doc and " ".join(doc.split()) for name, doc in self.docs.items()
        }

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse options.

        @raise usage.UsageError: when they are wrong; its text is one sentence.

        @raise SystemExit: with that sentence in place of a L{usage.UsageError}, when
            these are the options of a subcommand.  Before 26.10, C{twistd} ends with
            status 0 on a L{usage.UsageError}, after printing all options.  The same
            error says when C{twistd} cannot do what its own options ask for.
        """
        if self.parent is not None:
            raiseDescriptorLimit()  # the reactor needs some when it is made
        try:
            super().parseOptions(options)
            if isinstance(self.parent, ServerOptions):
                checkServerOptions(self.parent)
        except usage.UsageError as error:
            if self.parent is None:
                raise
            sentence = brief(f"{self.parent.subCommand}: {error}")
            raise SystemExit(sentence) from error

    def opt_help(self) -> None:
        """
        Display this help and exit.
        """
        self._print(str(self))

    opt_h = opt_help

    def opt_version(self) -> None:
        """
        Display the version of fastpoetry and exit.
        """
        self._print(f"fastpoetry {__version__}")

    def _print(self, text: str) -> NoReturn:
        # Print and exit, as get-poetry does.  By now sys.stdout may be the stream of
        # the log, which drops what it cannot write.
        if self._stdout is None:  # as after >&-
            raise usage.UsageError("standard output is closed")
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # when nobody reads it
        try:
            writeAll(unbuffered(self._stdout), f"{text}\n".encode())
        except OSError as error:
            raise usage.UsageError(
                f"cannot write to standard output: {explain(error)}"
            ) from error
        raise SystemExit(0)

    def parseArgs(self, *arguments: str) -> None:
        """
        Refuse whatever is no option.
        """
        if arguments:
            raise usage.UsageError(f"not an option: {arguments[0]}")
