"""
The errors that an operator can cause.  The text of each is one plain sentence
that names the reason first and then the value, because C{twistd} shows no more
than 100 bytes of it when it starts a daemon.
"""


class FastPoetryError(Exception):
    """
    What keeps a service from starting: a mistake in its settings or around it.
    """


class PoemError(FastPoetryError):
    """
    A poem cannot be read.
    """


class ListenError(FastPoetryError):
    """
    A server cannot listen where it was told to.
    """
