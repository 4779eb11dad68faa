"""
Real processes, ports and connections on this machine, for the tests and the benchmarks.
Nothing of it outlives who has started it.
"""

from sandbox.commands import NGINX_STREAM, ROOT, findCommand, quoted
from sandbox.connections import DEADLINE, connect, fetch, freePort, holdPort, readAll
from sandbox.directory import POEM, SANDBOX_VARIABLE, STARTED, Sandbox
from sandbox.processes import Process, Server

__all__ = [
    "DEADLINE",
    "NGINX_STREAM",
    "POEM",
    "ROOT",
    "SANDBOX_VARIABLE",
    "STARTED",
    "Process",
    "Sandbox",
    "Server",
    "connect",
    "fetch",
    "findCommand",
    "freePort",
    "holdPort",
    "quoted",
    "readAll",
]
