"""
Three instances of the server, behind a balancer.
"""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack

from sandbox import (
    NGINX_STREAM,
    ROOT,
    Sandbox,
    Server,
    connect,
    findCommand,
    holdPort,
    quoted,
)
from sandbox.network import TLS, Loopback

INSTANCES = (1, 2, 3)

HAPROXY, NGINX = "HAProxy", "nginx"
CONFIGURATIONS = {HAPROXY: "haproxy.cfg", NGINX: "nginx-stream.conf"}


class Machines:
    """
    Three instances and a balancer, each at an address of its own.

    @ivar instances: the processes that serve.

    @ivar balancer: the process before them.
    """

    def __init__(
        self, stack: ExitStack, name: str, network: Loopback, poem: bytes
    ) -> None:
        """
        Start them.
        """
        self.network, self.poem, self._stack = network, poem, stack
        self._port = holdPort(stack.callback, socket.SO_REUSEADDR)
        self._status = holdPort(stack.callback, socket.SO_REUSEADDR)
        self.address = ("127.0.0.10", self._port)
        self.instances = {number: self.start(number) for number in INSTANCES}
        self.balancer = self._balance(name)

    def start(self, number: int) -> Server:
        """
        Start an instance.
        """
        sandbox, host = Sandbox(self._stack.callback, self.poem), f"127.0.0.1{number}"
        endpoint = f"tcp:{self._port}"
        if self.network is TLS:
            endpoint = sandbox.makeCertificate(self._port)
        return sandbox.foreground(
            f"twistd -n --pidfile= fastpoetry --poem poem.txt --grace 60 "
            f"-e {endpoint}:interface={host} --proxy-protocol 127.0.0.10 "
            f"--status tcp:{self._status}:interface={host}"
        )

    def _balance(self, name: str) -> Server:
        """
        Start the balancer, with its configuration of F{deploy}, but our addresses.
        """
        sandbox = Sandbox(self._stack.callback)
        self._admin = sandbox.path / "admin.sock"
        text = (ROOT / "deploy" / CONFIGURATIONS[name]).read_text()
        if not NGINX_STREAM.exists():
            text = text.replace(f"load_module {NGINX_STREAM};", "")
        for old, new in {
            "192.0.2.1": "127.0.0.1",
            "10080": f"{self._status}",
            "10000": f"{self._port}",
            "/run/haproxy": f"{sandbox.path}",
            "/run": f"{sandbox.path}",
        }.items():
            text = text.replace(old, new)
        sandbox.write("conf", text.encode())
        if name == HAPROXY:
            command = f"{quoted(findCommand('haproxy'))} -db -f conf"
        else:
            command = (
                f"{quoted(findCommand('nginx'))} -e stderr -p {quoted(sandbox.path)} "
                "-c conf -g 'daemon off; master_process off;'"
            )
        balancer = sandbox.foreground(command, [])

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(self.address) == 0

        balancer.waitUntil(listens, name)
        return balancer

    def restart(self, number: int, how: signal.Signals) -> None:
        """
        Stop an instance, start it again, and wait until it has readers.
        """
        if how == signal.SIGTERM:
            self._setState(number, "drain")
        self.instances[number].signal(how)
        self.instances[number].waitForEnd()
        new = self.instances[number] = self.start(number)
        self._setState(number, "ready")
        new.waitUntil(lambda: new.readers > 0, "reader")

    def _setState(self, number: int, state: str) -> None:
        if self._admin.exists():  # of HAProxy
            with connect(self._admin) as admin:
                server = "abc"[number - 1]
                admin.sendall(f"set server poem/{server} state {state}\n".encode())
                admin.recv(1024)  # when it is so
