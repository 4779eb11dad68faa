# One poem at all doors: TCP and UDP, both on the port of the same number, and over HTTP
# a page, health and figures, and XML-RPC.  The service that has the poem knows of none
# of them.  Run it with
#
#     twistd -y examples/other-doors.tac

import os

from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument
from twisted.web.resource import Resource

from fastpoetry.daemon import DaemonService
from fastpoetry.doors.datagram import PoetryDatagramProtocol, PoetryDatagramServer
from fastpoetry.doors.site import Site
from fastpoetry.doors.status import addStatus
from fastpoetry.doors.web import addPoems
from fastpoetry.doors.xmlrpc import PoemMethods
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService

port = 10000
web_port = 8080
iface = "localhost"
poetry_file = "../poetry/ecstasy.txt"  # relative to the directory of this file

top_service = service.MultiService()

DaemonService().setServiceParent(top_service)

here = os.path.dirname(os.path.abspath(__file__))
poetry_service = PoetryService(os.path.join(here, poetry_file))
poetry_service.setServiceParent(top_service)

endpoint = f"tcp:{port}:interface={quoteStringArgument(iface)}"
poetry_server = PoetryServer(endpoint, PoetryFactory(poetry_service))
poetry_server.setServiceParent(top_service)

protocol = PoetryDatagramProtocol(poetry_service)
datagram_server = PoetryDatagramServer(port, protocol, iface)
datagram_server.setServiceParent(top_service)

root = Resource()
addPoems(root, {"ecstasy": poetry_service})  # at /ecstasy, and being the only one at /
addStatus(root, top_service)  # /healthz, /metrics
root.putChild(b"RPC2", PoemMethods({"ecstasy": poetry_service}))

web_endpoint = f"tcp:{web_port}:interface={quoteStringArgument(iface)}"
web_server = PoetryServer(web_endpoint, Site(root))
web_server.setServiceParent(top_service)

application = service.Application("other-doors")
top_service.setServiceParent(application)
