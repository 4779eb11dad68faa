# The plain composition that everything is compared with: the whole poem in one write,
# then loseConnection.  Its settings are in the environment: FILE has the poem, ENDPOINT
# is where it listens.  With LOG there is a line for each reader.  With LINGER it does
# the work of fastpoetry: it half-closes, waits for the reader's end, and throws away
# what the reader sends.  (Over TLS loseConnection waits for that end anyway.)

import os

from twisted.application import strports
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from zope.interface import implementer

with open(os.environ["FILE"], "rb") as file:
    poem = file.read()
log = Logger()
logs = "LOG" in os.environ
lingers = "LINGER" in os.environ
endpoint = os.environ["ENDPOINT"]
peer = "{peer.name}" if endpoint.startswith("unix:") else "{peer.host}:{peer.port}"


class PlainProtocol(Protocol):
    def connectionMade(self):
        if logs:
            log.info(
                f"sending {{size}} bytes of poetry to {peer}",
                size=len(poem),
                peer=self.transport.getPeer(),
            )
        self.transport.write(poem)
        self.transport.loseConnection()


@implementer(IHalfCloseableProtocol)
class LingeringProtocol(PlainProtocol):
    def connectionMade(self):
        self.transport.loseConnection = self.transport.loseWriteConnection
        super().connectionMade()

    def readConnectionLost(self):
        del self.transport.loseConnection
        self.transport.loseConnection()

    def writeConnectionLost(self):
        pass


# When it listens.
reactor.callWhenRunning(log.info, "loaded a poem from: {path}", path=file.name)
application = Application("plain")
factory = Factory.forProtocol(LingeringProtocol if lingers else PlainProtocol)
strports.service(endpoint, factory).setServiceParent(application)
