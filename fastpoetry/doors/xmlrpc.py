"""
Poems by XML-RPC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xmlrpc.client import Binary

from twisted.internet.defer import maybeDeferred
from twisted.python.failure import Failure
from twisted.web.xmlrpc import XMLRPC, Fault, NoSuchFunction, addIntrospection

# A longer poem is refused: the whole answer is made at once, in memory.
MAX_LENGTH = 2**20

# A longer name is not looked up.
MAX_NAME = 100

# Codes of faults.
NO_POEM, TOO_LONG = 1, 2

# Characters that XML cannot have, and the carriage return, which a parser changes.
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class PoemMethods(XMLRPC):
    """
    The methods: C{getPoem}, and those of introspection.
    """

    def __init__(self, sources: Mapping[str, Any]) -> None:
        """
        @param sources: the poems, each an L{IPoetrySource
            <fastpoetry.interfaces.IPoetrySource>}, by their names.
        """
        super().__init__()
        self._sources = sources
        addIntrospection(self)

    async def xmlrpc_getPoem(self, name: str | None = None) -> str | Binary:
        """
        Give a poem: the one of that name, or the first.
        """
        source = self._sources.get(next(iter(self._sources)) if name is None else name)
        if source is None:
            raise Fault(NO_POEM, "there is no poem of that name")
        try:
            poem: bytes = await maybeDeferred(source.getPoem)
        except Exception as error:
            raise Fault(NO_POEM, "there is no poem now") from error
        if len(poem) > MAX_LENGTH:
            raise Fault(TOO_LONG, "the poem is too long")
        try:
            text = poem.decode()
        except UnicodeDecodeError:
            return Binary(poem)
        return Binary(poem) if _NOT_XML.search(text) else text

    def lookupProcedure(self, procedurePath: Any) -> Any:
        """
        Look up a method, unless its name is missing or too long.

        @see: L{XMLRPC.lookupProcedure}
        """
        # A request may have no name.  And Twisted's answer repeats a name that it does
        # not find, of which entities of XML can make megabytes.
        if not isinstance(procedurePath, str) or len(procedurePath) > MAX_NAME:
            raise NoSuchFunction(self.NOT_FOUND, "procedure not found")
        return super().lookupProcedure(procedurePath)

    def _ebRender(self, failure: Failure) -> Any:
        # A mistake of a client is not worth a traceback in the log.
        if failure.check(TypeError):
            return Fault(self.FAILURE, "wrong arguments")
        return super()._ebRender(failure)
