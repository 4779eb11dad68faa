# Two poems on two ports, each poem's services in a collection of its own.  Run it
# with
#
#     twistd -y examples/two-poems.tac

import os

from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument

from fastpoetry.daemon import DaemonService
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService

iface = "localhost"
poems = {  # relative to the directory of this file
    10000: "../poetry/ecstasy.txt",
    10001: "../poetry/science.txt",
}

top_service = service.MultiService()

DaemonService().setServiceParent(top_service)

here = os.path.dirname(os.path.abspath(__file__))
for port, poetry_file in poems.items():
    poem_services = service.MultiService()
    poem_services.setServiceParent(top_service)

    poetry_service = PoetryService(os.path.join(here, poetry_file))
    poetry_service.setServiceParent(poem_services)

    endpoint = f"tcp:{port}:interface={quoteStringArgument(iface)}"
    factory = PoetryFactory(poetry_service, title=poetry_file)  # as the log calls it
    poetry_server = PoetryServer(endpoint, factory)
    poetry_server.setServiceParent(poem_services)

application = service.Application("two-poems")
top_service.setServiceParent(application)
