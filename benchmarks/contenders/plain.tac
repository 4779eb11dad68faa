# The plain composition: the whole poem in one write, on a TCPServer.  With LINGER
# it does the work of fastpoetry: a half-close, with the end waited for and what the
# reader sends thrown away.  LOG is for a line per reader.  ADDRESS is HOST:PORT, or the
# path of a UNIX socket.  PEM is a file with a key and its certificate: then it talks
# TLS, where a close waits for the reader's end anyway.

import os

from twisted.application import strports
from twisted.application.internet import TCPServer, UNIXServer
from twisted.application.service import Application
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from zope.interface import implementer

with open(os.environ["FILE"], "rb") as file:
    poem = file.read()
log = Logger()
logs = "LOG" in os.environ
lingers = "LINGER" in os.environ
address = os.environ["ADDRESS"]
isUnix = "/" in address
peer = "{peer.name}" if isUnix else "{peer.host}:{peer.port}"


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


application = Application("plain")
factory = Factory.forProtocol(LingeringProtocol if lingers else PlainProtocol)
if isUnix:
    server = UNIXServer(address, factory)
else:
    host, _, port = address.rpartition(":")
    if "PEM" in os.environ:
        where = f"ssl:{port}:interface={host}:privateKey={os.environ['PEM']}"
        server = strports.service(where, factory)
    else:
        server = TCPServer(int(port), factory, interface=host)
server.setServiceParent(application)
