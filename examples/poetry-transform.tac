# This deployment: the transforms of fastpoetry on one port.  Run it with
#
#     twistd -y examples/poetry-transform.tac
#
# To add transforms of your own, copy this file and give TransformService a table:
#
#     TransformService({**TRANSFORMS, "whisper": whisper})

from twisted.application import service
from twisted.internet.endpoints import quoteStringArgument

from fastpoetry.daemon import DaemonService
from fastpoetry.server import PoetryServer
from fastpoetry.transform import TransformFactory, TransformService

port = 11000
iface = "localhost"
max_length = 2**20  # bytes of a request, name and poem together

top_service = service.MultiService()

DaemonService().setServiceParent(top_service)

transform_service = TransformService()
transform_service.setServiceParent(top_service)

endpoint = f"tcp:{port}:interface={quoteStringArgument(iface)}"
factory = TransformFactory(transform_service, maxLength=max_length)
transform_server = PoetryServer(endpoint, factory)
transform_server.setServiceParent(top_service)

application = service.Application("poetry-transform")
top_service.setServiceParent(application)
