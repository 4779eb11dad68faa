"""
The command line of C{get-poetry}.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NoReturn, TextIO

from twisted.internet.interfaces import IStreamClientEndpoint

from fastpoetry import __version__
from fastpoetry.address import clientEndpoint
from fastpoetry.client import MAX_LENGTH
from fastpoetry.commands.values import (
    asArgumentError,
    positiveInteger,
    positiveSeconds,
    transformName,
)
from fastpoetry.text import brief

EPILOG = """\
An address may also be a Twisted endpoint description, such as
unix:/run/poem.sock.

examples:
  get-poetry 10000
  get-poetry --in-order localhost:10000 [::1]:10001 example.org:17
  get-poetry --transform cummingsify --transform-server 11000 10000

exit status: 0 when every poem is there, 1 when any is missing, 2 for a mistake
in the options.
"""


# What add_argument takes for each.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "addresses": {
        "metavar": "[HOST:]PORT",
        "nargs": "+",
        "help": "where to fetch a poem; HOST is localhost by default",
    },
    "--transform": {
        "metavar": "NAME",
        "type": asArgumentError(transformName),
        "help": "have every poem transformed; one that cannot be is printed plain, "
        "with a warning",
    },
    "--transform-server": {
        "dest": "transformServer",
        "metavar": "[HOST:]PORT",
        "help": "which server transforms",
    },
    "--timeout": {
        "metavar": "SECONDS",
        "type": asArgumentError(positiveSeconds),
        "default": 60.0,
        "help": "give up on a server that cannot be reached, or sends nothing, for "
        "this many seconds [default: 60]",
    },
    "--total-timeout": {
        "dest": "totalTimeout",
        "metavar": "SECONDS",
        "type": asArgumentError(positiveSeconds),
        "default": 3600.0,
        "help": "give up on a poem that is not there, or not transformed, in this many "
        "seconds, however steadily it comes [default: 3600]",
    },
    "--max-length": {
        "dest": "maxLength",
        "metavar": "BYTES",
        "type": asArgumentError(positiveInteger),
        "default": MAX_LENGTH,
        "help": "give up on a poem that is longer [default: %(default)s, 1 GiB]",
    },
    "--jobs": {
        "metavar": "N",
        "type": asArgumentError(positiveInteger),
        "default": 10,
        "help": "fetch this many poems at once, or as many as there are descriptors "
        "for [default: 10]",
    },
    "--in-order": {
        "dest": "inOrder",
        "action": "store_true",
        "help": "print the poems in the order asked, once all are there",
    },
    "--quiet": {"action": "store_true", "help": "show no progress"},
    "--raw": {
        "action": "store_true",
        "help": "have a terminal obey control characters in a poem, instead of showing "
        "them as ^[; elsewhere a poem is always printed as it is",
    },
    "--version": {"action": "version", "version": f"get-poetry {__version__}"},
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """
        Refuse the command line.  Whoever typed it may have copied what a peer has
        written, so the message is made printable.
        """
        super().error(brief(message))


def makeParser() -> argparse.ArgumentParser:
    """
    @return: the parser of the command line.
    """
    parser = _Parser(
        prog="get-poetry",
        usage="get-poetry [options] [HOST:]PORT ...",
        description="Fetch poems, and print them as they come, each whole.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for name, details in ARGUMENTS.items():
        parser.add_argument(name, **details)
    return parser


class Options(argparse.Namespace):
    """
    What a command line asks for: the values of L{ARGUMENTS}, whose help says what they
    mean.

    @ivar endpoints: where the poems are, in the order given.

    @ivar transformServer: where poems are transformed; an endpoint as well.
    """

    addresses: list[str]
    endpoints: list[IStreamClientEndpoint]
    transform: str | None
    transformServer: Any  # what was typed, and then its endpoint
    timeout: float
    totalTimeout: float
    maxLength: int
    jobs: int
    inOrder: bool
    quiet: bool
    raw: bool


def parse(reactor: Any, argv: Sequence[str], stdout: TextIO, stderr: TextIO) -> Options:
    """
    Parse a command line.

    @param reactor: what the endpoints will connect with.

    @param argv: the arguments, without the name of the command.

    @param stdout: where help is printed.

    @param stderr: where the sentence about a mistake is printed.

    @return: the options, with endpoints.

    @raise SystemExit: after help was printed (status 0) or a mistake (status 2).
    """
    parser = makeParser()
    with redirect_stdout(stdout), redirect_stderr(stderr):
        options = parser.parse_intermixed_args(argv, Options())
        try:
            makeEndpoints(reactor, options)
        except ValueError as error:
            parser.error(str(error))
    return options


def makeEndpoints(reactor: Any, options: Options) -> None:
    """
    Make endpoints of the addresses.

    @raise ValueError: when one of them is no address, or an option is missing.
    """
    if (options.transform is None) != (options.transformServer is None):
        raise ValueError("--transform and --transform-server go together")

    def make(text: str) -> IStreamClientEndpoint:
        # Without a timeout: getPoetry has one that allows for a stopped process.
        return clientEndpoint(reactor, text, math.inf)

    options.endpoints = [make(text) for text in options.addresses]
    if options.transformServer is not None:
        options.transformServer = make(options.transformServer)
