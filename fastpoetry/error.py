"""
The errors that an operator can cause.  The text of each is one plain sentence that
begins with the reason and the value, because C{twistd} shows no more than 100 bytes of
it when it starts a daemon.
"""


def printable(text: str) -> str:
    """
    Make something printable that may have the name of a file in it.

    @param text: what Python made of bytes that need not be UTF-8 (surrogates, which
        no log can write).

    @return: the same with such bytes as C{\\xe9}.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class FastPoetryError(Exception):
    """
    What keeps a service from starting: a mistake in its settings or around it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class PoemError(FastPoetryError):
    """
    A poem cannot be read.
    """


class ListenError(FastPoetryError):
    """
    A server cannot listen where it was told to.
    """


class UpstreamError(FastPoetryError):
    """
    A proxy cannot fetch from where it was told to.
    """
