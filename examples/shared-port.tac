# One poem on a port that several daemons share, one for each core.  Run each of them
# with a pid file and a log of its own:
#
#     twistd --pidfile poem-1.pid --logfile poem-1.log -y shared-port.tac
#     twistd --pidfile poem-2.pid --logfile poem-2.log -y shared-port.tac

import os

from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument

from fastpoetry.daemon import DaemonService
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
factory = PoetryFactory(poetry_service)
poetry_server = PoetryServer(endpoint, factory, reusePort=True)
poetry_server.setServiceParent(top_service)

application = service.Application("fastpoetry")
top_service.setServiceParent(application)
