"""
Three instances behind HAProxy and nginx, as F{deploy} has them, while readers fetch
without pause.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.faults import Scale, isMissing
from benchmarks.table import Row, say
from sandbox import ROOT, Sandbox, Server, connect, findCommand, holdPort, quoted
from sandbox.crowd import Crowd
from sandbox.manners import Manners
from sandbox.network import LOOPBACK, TLS, Loopback
from sandbox.subject import BIG, OURS, PLAIN

POEM = BIG[:300_000]
READERS = 32
INSTANCES = (1, 2, 3)

HAPROXY, NGINX = "HAProxy", "nginx"
CONFIGURATIONS = {HAPROXY: "haproxy.cfg", NGINX: "nginx-stream.conf"}

# Where Debian has what nginx does not have built in.
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

MANNERS = [
    Manners(),
    Manners(says=b"x" * 2**16),
    Manners(readsPerSecond=2_000_000),
    Manners(saysPerSecond=10**5, readsPerSecond=2_000_000),
]
HALF_CLOSES = Manners(halfCloses=True)


def rowsOf(name: str, scale: Scale) -> Iterator[Row]:
    """
    A poem of 300 KB, and one of 10 MB for those who are in flight when all is killed.

    @param name: of the balancer, one of L{CONFIGURATIONS}.
    """
    if isMissing(name.lower()):
        yield Row(name, "not installed", {})
        return
    times, count = scale.count(3), scale.count(50)
    for network in (LOOPBACK, TLS):
        tried = f"{times} times {network.where}, {READERS} readers"
        drain = "drain, SIGTERM" if name == HAPROXY else "SIGTERM"
        for how, word in ((signal.SIGTERM, drain), (signal.SIGKILL, "SIGKILL")):
            fault = f"{name}: {word} and start, three instances in turn"
            yield _row(fault, tried, _rolling(name, network, times, how))
        tried = f"{count} {network.where}"
        fault = f"{name}: readers of 5 MB who talk, and read 700 KB/s"
        yield _row(fault, tried, _slow(name, network, count))
        fault = f"{name}: SIGKILL of all three in the middle of 10 MB"
        yield _row(fault, tried, _killed(name, network, count))


def _row(fault: str, tried: str, found: tuple[str, bool]) -> Row:
    said, kept = found
    return Row(fault, tried, {PLAIN: "not tried", OURS: said}, kept)


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
        sandbox = Sandbox(self._stack.callback)
        self._admin = sandbox.path / "admin.sock"
        text = (ROOT / "deploy" / CONFIGURATIONS[name]).read_text()
        if not Path(MODULE).exists():
            text = text.replace(f"load_module {MODULE};", "")
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


@contextmanager
def _machines(
    name: str, network: Loopback, poem: bytes
) -> Iterator[tuple[Machines, Crowd]]:
    with ExitStack() as stack:
        machines = Machines(stack, name, network, poem)
        crowd = Crowd(machines.address, [poem], network.reader)
        stack.callback(crowd.close)
        yield machines, crowd


def _rolling(
    name: str, network: Loopback, times: int, how: signal.Signals
) -> tuple[str, bool]:
    """
    Restart each instance in turn, under load.

    @param how: how it is ended.

    @return: what came of all fetches, and whether it is what is promised: with SIGTERM
        that none failed, at nginx at most one for each stop; with SIGKILL that, over
        TLS, none that is cut looks whole.
    """
    # HAProxy ends who half-closes before it has connected.
    halfCloses = network is TLS or name == NGINX
    manners = [*MANNERS, HALF_CLOSES] if halfCloses else MANNERS
    with _machines(name, network, POEM) as (machines, crowd):

        def restartAll() -> None:
            for _ in range(times):
                for number in INSTANCES:
                    machines.restart(number, how)

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(restartAll)
            crowd.run(600, until=_keepFull(crowd, manners, done.done))
            done.result()
        crowd.run(60)
        outcomes = crowd.outcomes()
        if how == signal.SIGKILL:
            allowed = {"whole", "reset"}
            if network is LOOPBACK:  # where a balancer makes a clean end of a reset
                allowed |= {"cut", "empty"}
            return say(outcomes), set(outcomes) <= allowed and outcomes["whole"] > 0
        lost = sum(outcomes.values()) - outcomes["whole"]
        # nginx cannot be told before a stop: who is just connecting then is lost.
        most = times * len(INSTANCES) if name == NGINX else 0
        return say(outcomes), lost <= most and outcomes["cut"] == 0


def _keepFull(
    crowd: Crowd, manners: list[Manners], isOver: Callable[[], bool]
) -> Callable[[], bool]:
    def turn() -> bool:
        while len(crowd) < READERS and not isOver():
            crowd.add(1, manners[len(crowd.readers) % len(manners)])
        return isOver()

    return turn


def _killed(name: str, network: Loopback, count: int) -> tuple[str, bool]:
    """
    Kill all instances while everybody is in the middle of a poem.

    @return: what came of it, and whether it is what is promised: over TLS that
        everybody knows.
    """
    poem = BIG + BIG
    with _machines(name, network, poem) as (machines, crowd):
        crowd.add(count, Manners(readsPerSecond=500_000))
        crowd.run(60, until=lambda: all(one.got > 0 for one in crowd.readers))
        for instance in machines.instances.values():
            instance.signal(signal.SIGKILL)
        crowd.run(120)
        outcomes = crowd.outcomes()
        allowed = {"whole", "reset"}  # some may have had all of it
        if network is LOOPBACK:
            allowed.add("cut")
        return say(outcomes), set(outcomes) <= allowed


def _slow(name: str, network: Loopback, count: int) -> tuple[str, bool]:
    """
    Have readers talk who are far behind what the balancer has.

    @return: what came of it, and whether all are whole.
    """
    with _machines(name, network, BIG) as (_, crowd):
        crowd.add(count, Manners(saysPerSecond=10_000, readsPerSecond=700_000))
        crowd.run(120)
        outcomes = crowd.outcomes()
        return say(outcomes), set(outcomes) == {"whole"}
