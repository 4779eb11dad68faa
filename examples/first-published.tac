# The composition as it was first published, with a listening service of Twisted's own
# in place of PoetryServer.  Run it where the directory poetry is, with
#
#     twistd -y examples/first-published.tac
#
# What PoetryServer adds to TCPServer: a limit of readers, and a stop that waits for
# them.  With DaemonService, a start that fails says why in one sentence.

from twisted.application import internet, service

from fastpoetry import PoetryFactory, PoetryService

port = 10000
iface = "localhost"
poetry_file = "poetry/ecstasy.txt"

top_service = service.MultiService()

poetry_service = PoetryService(poetry_file)
poetry_service.setServiceParent(top_service)

factory = PoetryFactory(poetry_service)
tcp_service = internet.TCPServer(port, factory, interface=iface)
tcp_service.setServiceParent(top_service)

application = service.Application("fastpoetry")
top_service.setServiceParent(application)
