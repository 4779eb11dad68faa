"""
The errors that an operator can cause.  The text of each is one plain sentence that
begins with the reason and the value, because C{twistd} shows no more than 100 bytes of
it when it starts a daemon.
"""

from __future__ import annotations

from fastpoetry.text import brief


class FastPoetryError(Exception):
    """
    What keeps a service from starting: a mistake in its settings or around it.
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
