# A protocol that is asked before it answers, on the parts of fastpoetry: finger
# (RFC 1288), with a poem for a name.  Run it with
#
#     twistd -y examples/finger.tac
#
# What each part does is in docs/own-daemon.md.

import os
from glob import glob

from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument

from fastpoetry.connection.delivery import DeliveryProtocol
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.connection.state import State
from fastpoetry.daemon import DaemonService
from fastpoetry.deadline import Deadline
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService

port = 10079
iface = "localhost"
poems = "../poetry"  # a directory of poems, relative to that of this file

MAX_QUERY = 1024  # bytes


class Finger(DeliveryProtocol):
    query = b""

    def connectionMade(self):
        self.deadline = Deadline(self.factory.reactor, self.transport.abortConnection)
        self.deadline.start(self.factory.timeout)

    def dataReceived(self, data):
        if self.state is not State.WAITING:
            super().dataReceived(data)  # which throws it away
            return
        self.query += data
        if b"\n" in self.query or len(self.query) > MAX_QUERY:
            self.deadline.stop()
            name = self.query.partition(b"\n")[0].strip().decode("ascii", "replace")
            self.deliver(self.factory.answer(name))

    def readConnectionLost(self):
        super().readConnectionLost()
        if self.state is State.WAITING:  # the query will never be whole
            self.transport.abortConnection()

    def connectionLost(self, reason):
        self.deadline.stop()
        super().connectionLost(reason)


class FingerFactory(DeliveryFactory):
    protocol = Finger

    def __init__(self, services):
        super().__init__()
        self.services = services

    def answer(self, name):
        if name in self.services:
            return self.services[name].getPoem()
        return "".join(f"{each}\r\n" for each in self.services).encode()


top_service = service.MultiService()

DaemonService().setServiceParent(top_service)

directory = os.path.join(os.path.dirname(os.path.abspath(__file__)), poems)
poetry_services = {}
for file in sorted(glob(os.path.join(directory, "*.txt"))):
    poetry_service = PoetryService(file)
    poetry_service.setServiceParent(top_service)
    poetry_services[os.path.basename(file).removesuffix(".txt")] = poetry_service

endpoint = f"tcp:{port}:interface={quoteStringArgument(iface)}"
finger_server = PoetryServer(endpoint, FingerFactory(poetry_services))
finger_server.setServiceParent(top_service)

application = service.Application("finger")
top_service.setServiceParent(application)
