# One poem at two doors: TCP and UDP, both on the port of the same number.  The service
# that has the poem knows of neither.  Run it with
#
#     twistd -y other-doors.tac

import os

from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument

from fastpoetry.daemon import DaemonService
from fastpoetry.doors.datagram import PoetryDatagramProtocol, PoetryDatagramServer
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService

port = 10000
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

application = service.Application("other-doors")
top_service.setServiceParent(application)
