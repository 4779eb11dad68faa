# A proxy for the poem of another server.  Run it with
#
#     twistd -y examples/poetry-proxy.tac

from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument

from fastpoetry.daemon import DaemonService
from fastpoetry.protocol import PoetryFactory
from fastpoetry.proxy import ProxyService
from fastpoetry.server import PoetryServer

port = 10002
iface = "localhost"
upstream = "localhost:10000"
max_age = None  # in seconds; None is for ever

top_service = service.MultiService()

DaemonService().setServiceParent(top_service)

proxy_service = ProxyService(upstream, maxAge=max_age)
proxy_service.setServiceParent(top_service)

endpoint = f"tcp:{port}:interface={quoteStringArgument(iface)}"
poetry_server = PoetryServer(endpoint, PoetryFactory(proxy_service))
poetry_server.setServiceParent(top_service)

application = service.Application("poetry-proxy")
top_service.setServiceParent(application)
