"""
A plugin with a service maker of its own: C{twistd one-poem}.
"""

from __future__ import annotations

from twisted.application.internet import TCPServer
from twisted.application.service import IService, IServiceMaker, MultiService
from twisted.plugin import IPlugin
from twisted.python import usage
from zope.interface import implementer

from fastpoetry import PoetryFactory, PoetryService


class Options(usage.Options):
    """
    What stands after C{one-poem}: long name, short name, default, help, and what makes
    the value out of the text.
    """

    optParameters = [
        ["port", "p", 10000, "The port to listen on.", int],
        ["poem", None, "poetry/ecstasy.txt", "The file with the poem."],
        ["iface", None, "localhost", "The interface to listen on."],
    ]


@implementer(IPlugin, IServiceMaker)
class PoetryServiceMaker:
    """
    Makes the service of C{twistd one-poem}.
    """

    tapname = "one-poem"
    description = "Serve one poem."
    options = Options

    def makeService(self, options: Options) -> IService:
        """
        @return: a collection of the poem and its port, not yet started.
        """
        top_service = MultiService()
        poetry_service = PoetryService(options["poem"])
        poetry_service.setServiceParent(top_service)
        factory = PoetryFactory(poetry_service)
        tcp_service = TCPServer(options["port"], factory, interface=options["iface"])
        tcp_service.setServiceParent(top_service)
        return top_service


maker = PoetryServiceMaker()  # what is found; any name will do
