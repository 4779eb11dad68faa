"""
F{docs/public-server.md}, done as it says: its commands are run in a network and a file
system of their own, and print what it shows.
"""

from __future__ import annotations

import contextlib
import os
import sys
from unittest import skipIf

from twisted.trial.unittest import SynchronousTestCase

from sandbox import Sandbox, findCommand, quoted
from tests.pages import BLOCK, matches, read

PAGE = read("docs/public-server.md")

# What is written to is not the machine's.
MACHINE = """
set -e
mount --make-rprivate /
cp -a /etc etc
mount --bind etc /etc
for place in /opt /srv /run /var/lib; do
    mount -t tmpfs tmpfs $place
done
echo '192.0.2.1 poems.example.org' >>/etc/hosts
echo '2001:db8::1 poems.example.org' >>/etc/hosts
mkdir -p /opt/fastpoetry/bin
ln -s {twistd} {getPoetry} /opt/fastpoetry/bin
ip link set lo up
ip address add 192.0.2.1/24 dev lo
ip address add 198.51.100.7/24 dev lo
ip address add 2001:db8::1/64 dev lo nodad
"""

# Fetches, each time as another, as long as there is a file, and says what was wrong.
READER = """
import os, socket
number = 0
while os.path.exists("reading"):
    number += 1
    here = f"127.{number // 250 % 250 + 1}.{number % 250}.1", 0
    try:
        with socket.create_connection(("192.0.2.1", 17), 60, here) as reader:
            poem = b"".join(iter(lambda: reader.recv(1000), b""))
            if not poem.endswith(b"symmetry?\\n"):
                print("cut:", poem)
    except OSError as error:
        print(error)
    if number == 20:
        open("begun", "w")
print("read", "often" if number > 20 else number)
"""


class PublicServerPageTests(SynchronousTestCase):
    """
    Tests of the page.
    """

    maxDiff = None

    @skipIf(os.geteuid() != 0, "only root can make a network and users")
    def test_walk(self) -> None:
        """
        From an empty machine to its last server, each block ends well, and prints what
        the page shows; and nobody notices an upgrade.
        """
        for command in ("useradd", "ip", "nc", "curl", "openssl", "haproxy", "ps"):
            findCommand(command)
        blocks = [match.groupdict() for match in BLOCK.finditer(PAGE)]
        self.assertGreater(len(blocks), 10)
        self.assertIn("without a gap", [block["mark"] for block in blocks])
        sandbox = Sandbox(self.addCleanup)
        sandbox.write("reader.py", READER.encode())
        script = [
            MACHINE.format(
                twistd=quoted(findCommand("twistd")),
                getPoetry=quoted(findCommand("get-poetry")),
            )
        ]
        for number, block in enumerate(blocks):
            sandbox.write(f"block-{number}", block["commands"].encode())
            run = f"sh -eu block-{number} >printed-{number} 2>&1 </dev/null"
            run = f"{run} || {{ echo {number} >failed; exit 1; }}"
            if block["mark"]:
                reader = f"{quoted(sys.executable)} reader.py"
                run = (
                    f">reading\n{reader} >read &\nuntil [ -e begun ]; do :; done\n"
                    f"{run}\nrm reading\nwait $!"
                )
            script.append(run)
        sandbox.write("script", "\n".join(script).encode())
        status, output = sandbox.run("unshare --net --mount sh script")
        printed = []
        for number in range(len(blocks)):
            with contextlib.suppress(FileNotFoundError):
                printed.append((sandbox.path / f"printed-{number}").read_text())
        self.assertEqual((status, output), (0, b""), printed[-1:])
        for block, text in zip(blocks, printed):
            shown = block["shown"] or ""
            self.assertTrue(matches(shown, text), f"{block['commands']}\n{text}")
        self.assertEqual((sandbox.path / "read").read_text(), "read often\n")
