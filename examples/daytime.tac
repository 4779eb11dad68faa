# Another protocol on the parts of fastpoetry: the date and the time to whoever connects
# (RFC 867).  Run it with
#
#     twistd --logger fastpoetry.log.boundedLog -y examples/daytime.tac
#
# What each part does is in docs/own-daemon.md.

import time

from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument

from fastpoetry.connection.delivery import DeliveryProtocol
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.daemon import DaemonService
from fastpoetry.server import PoetryServer

port = 10013
iface = "localhost"


class Daytime(DeliveryProtocol):
    def connectionMade(self):
        date = time.strftime("%A, %B %d, %Y %H:%M:%S-UTC\r\n", time.gmtime())
        self.deliver(date.encode("ascii"))


class DaytimeFactory(DeliveryFactory):
    protocol = Daytime


top_service = service.MultiService()

DaemonService().setServiceParent(top_service)

endpoint = f"tcp:{port}:interface={quoteStringArgument(iface)}"
daytime_server = PoetryServer(endpoint, DaytimeFactory())
daytime_server.setServiceParent(top_service)

application = service.Application("daytime")
top_service.setServiceParent(application)
