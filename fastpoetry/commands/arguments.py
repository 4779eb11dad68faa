"""
The command line of C{get-poetry}.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NoReturn, TextIO

from twisted.internet.interfaces import IStreamClientEndpoint

from fastpoetry import __version__
from fastpoetry.address import clientEndpoint
from fastpoetry.client import MAX_LENGTH
from fastpoetry.commands.values import count, timeout
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


def number(parse: Callable[[str], float]) -> Callable[[str], float]:
    """
    @param parse: one of L{fastpoetry.commands.values}.

    @return: what does the same, but raises L{argparse.ArgumentTypeError}, of which
        alone argparse prints what it says.
    """

    def coerce(text: str) -> float:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return coerce


def transformName(text: str) -> str:
    """
    @return: the name of a transform.

    @raise argparse.ArgumentTypeError: when no transform can be called so.
    """
    # On the wire it is UTF-8, up to the first dot.
    isText = text.isprintable()  # bytes that are not UTF-8 come as surrogates
    if not text or not isText or "." in text:
        raise argparse.ArgumentTypeError(f"not the name of a transform: {text!a}")
    return text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """
        Tell a mistake: what was typed may have come from somebody else.
        """
        super().error(brief(message))


def makeParser() -> argparse.ArgumentParser:
    """
    @return: what understands the command line.
    """
    parser = _Parser(
        prog="get-poetry",
        usage="get-poetry [options] [HOST:]PORT ...",
        description="Fetch poems, and print them as they come, each whole.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "addresses",
        metavar="[HOST:]PORT",
        nargs="+",
        help="where to fetch a poem; HOST is localhost by default",
    )
    add(
        "--transform",
        metavar="NAME",
        type=transformName,
        help="have every poem transformed; one that cannot be is printed plain, "
        "with a warning",
    )
    add(
        "--transform-server",
        dest="transformServer",
        metavar="[HOST:]PORT",
        help="which server transforms",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=number(timeout),
        default=60.0,
        help="give up on a server that cannot be reached, or sends nothing, for so "
        "many seconds [default: 60]",
    )
    add(
        "--total-timeout",
        dest="totalTimeout",
        metavar="SECONDS",
        type=number(timeout),
        default=3600.0,
        help="give up on a poem that is not there, or not transformed, in so many "
        "seconds, however steadily it comes [default: 3600]",
    )
    add(
        "--max-length",
        dest="maxLength",
        metavar="BYTES",
        type=number(count),
        default=MAX_LENGTH,
        help="give up on a poem that is longer [default: %(default)s, 1 GiB]",
    )
    add(
        "--jobs",
        metavar="N",
        type=number(count),
        default=10,
        help="fetch so many poems at once, or as many as there are descriptors for "
        "[default: 10]",
    )
    add(
        "--in-order",
        dest="inOrder",
        action="store_true",
        help="print the poems in the order asked, once all are there",
    )
    add("--quiet", action="store_true", help="show no progress")
    add(
        "--raw",
        action="store_true",
        help="have a terminal obey control characters in a poem, instead of showing "
        "them as ^[; elsewhere a poem is always printed as it is",
    )
    add("--version", action="version", version=f"get-poetry {__version__}")
    return parser


class Options(argparse.Namespace):
    """
    What a command line asks for.

    @ivar endpoints: where the poems are, in the order given.

    @ivar transform: the name of a transform, if one is wanted.

    @ivar transformServer: where the transform is.

    @ivar timeout: how many seconds a server may take to answer, and be silent.

    @ivar totalTimeout: how many seconds a poem may take in all, and its transform.

    @ivar maxLength: how many bytes a poem may have.

    @ivar jobs: how many poems are fetched at once.

    @ivar inOrder: whether poems are printed in the order given.

    @ivar quiet: whether no progress is shown.

    @ivar raw: whether control characters in a poem are for a terminal to obey.
    """

    addresses: list[str]
    endpoints: list[IStreamClientEndpoint]
    transform: str | None
    transformServer: Any
    timeout: float
    totalTimeout: float
    maxLength: int
    jobs: int
    inOrder: bool
    quiet: bool
    raw: bool


def parse(reactor: Any, argv: Sequence[str], stdout: TextIO, stderr: TextIO) -> Options:
    """
    Understand a command line.

    @param reactor: what the endpoints will connect with.

    @param argv: the arguments, without the name of the command.

    @param stdout: where help goes.

    @param stderr: where the sentence about a mistake goes.

    @raise SystemExit: when there is nothing to do, because help was asked for
        (status 0) or a mistake was made (status 2).  What there is to say has been
        printed then.
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

    @raise ValueError: when that is impossible.
    """
    if (options.transform is None) != (options.transformServer is None):
        raise ValueError("--transform and --transform-server go together")

    def make(text: str) -> IStreamClientEndpoint:
        # Whoever connects has a deadline, which minds when the process stood still.
        return clientEndpoint(reactor, text, math.inf)

    options.endpoints = [make(text) for text in options.addresses]
    if options.transformServer is not None:
        options.transformServer = make(options.transformServer)
