# The plain composition that everything is compared with: the whole poem in one
# write, then loseConnection, on a TCPServer, or on an endpoint.  Its settings come by
# environment.

import os

from twisted.application import internet, service, strports
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.python import log


class PlainProtocol(Protocol):
    def connectionMade(self):
        poem = self.factory.service.poem
        log.msg(f"sending {len(poem)} bytes of poetry to {self.transport.getPeer()}")
        self.transport.write(poem)
        self.transport.loseConnection()


class PlainFactory(ServerFactory):
    protocol = PlainProtocol

    def __init__(self, service):
        self.service = service


class PlainService(service.Service):
    def __init__(self, poetry_file):
        self.poetry_file = poetry_file

    def startService(self):
        with open(self.poetry_file, "rb") as file:
            self.poem = file.read()
        log.msg(f"loaded a poem from: {self.poetry_file}")
        service.Service.startService(self)


top_service = service.MultiService()

poetry_service = PlainService(os.environ["PLAIN_POEM"])
poetry_service.setServiceParent(top_service)

factory = PlainFactory(poetry_service)
if "PLAIN_ENDPOINT" in os.environ:
    listening_service = strports.service(os.environ["PLAIN_ENDPOINT"], factory)
else:
    listening_service = internet.TCPServer(
        int(os.environ["PLAIN_PORT"]), factory, interface=os.environ["PLAIN_IFACE"]
    )
listening_service.setServiceParent(top_service)

application = service.Application("plain")
top_service.setServiceParent(application)
