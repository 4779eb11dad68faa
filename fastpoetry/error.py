"""
The errors that an operator can cause.  The text of each is one sentence that begins
with the reason and the value, since a C{twistd} that becomes a daemon shows only 100
bytes of it.
"""

from __future__ import annotations

from fastpoetry.text import brief


class FastPoetryError(Exception):
    """
    A service cannot start, reload or give its poem: there is a mistake in its settings,
    or in the system.
    """

    def __init__(self, text: str) -> None:
        super().__init__(brief(text))


class PoemError(FastPoetryError):
    """
    A poem cannot be read.
    """


class ListenError(FastPoetryError):
    """
    A server cannot listen where it was told to.
    """


class CertificateError(FastPoetryError):
    """
    A certificate, or its key, cannot be used.
    """


class UpstreamError(FastPoetryError):
    """
    A proxy cannot fetch from where it was told to.
    """
