"""
Mistakes, each of which ends the start of a real C{twistd} process with a plain
sentence.
"""

from __future__ import annotations

import os

from tests.daemons import AS_NOBODY, NOBODY, PLUGIN, TAC, needsRoot
from tests.refusals import RefusalTestCase

# Each mistake on the command line with the sentence that answers it.  {dir} is the
# current directory, {taken} a port that somebody listens on, and ... stands for
# words that are not ours.
PLUGIN_MISTAKES = {
    "": "no poem to serve: --poem FILE is missing",
    "--poem none.txt": "No such file or directory: none.txt",
    "--poem {dir}/none.txt": "No such file or directory: {dir}/none.txt",
    "--poem poem.txt/poem.txt": "Not a directory: poem.txt/poem.txt",
    "--poem ''": "No such file or directory: ",
    "--poem {dir}": "Not a regular file: {dir}",
    "--poem fifo": "Not a regular file: fifo",
    "--poem /dev/null": "Not a regular file: /dev/null",
    "--poem /dev/zero": "Not a regular file: /dev/zero",
    "--poem poem.txt --port 70000": "not a port number from 0 to 65535: 70000",
    "--poem poem.txt --port abc": "--port is not a port number from 0 to 65535: abc",
    "--poem poem.txt --port -1": "not a port number from 0 to 65535: -1",
    "--poem poem.txt --port {taken}": (
        "Address already in use: tcp:{taken}:interface=localhost"
    ),
    "--poem poem.txt --port 0 --endpoint tcp:{taken}": (
        "Address already in use: tcp:{taken}"
    ),
    "--poem poem.txt --port 0 --iface 203.0.113.77": (
        "Cannot assign requested address: tcp:0:interface=203.0.113.77"
    ),
    "--poem poem.txt --endpoint unix:none/socket": (
        "No such file or directory: unix:none/socket"
    ),
    "--poem poem.txt --endpoint unix:poem.txt": "Address already in use: unix:poem.txt",
    "--poem poem.txt --endpoint unix:good --endpoint unix:none/socket": (
        "No such file or directory: unix:none/socket"
    ),
    "--poem poem.txt --iface ''": "--iface is no address: ''",
    "--poem poem.txt --endpoint systemd:domain=INET:index=0": (
        "No such socket was passed: systemd:domain=INET:index=0"
    ),
    "--poem poem.txt --endpoint bogus:1": "Not an endpoint: bogus:1 (...: bogus)",
    "--poem poem.txt --endpoint tcp:0:x=1": "Not an endpoint: tcp:0:x=1 (...of tcp: x)",
    "--poem poem.txt --endpoint tcp:abc": "Not an endpoint: tcp:abc (...: abc)",
    "--poem poem.txt --endpoint tcp:": "Not an endpoint: tcp: (...)",
    "--poem poem.txt --endpoint ''": "Not an endpoint:  (...)",
    "--poem poem.txt --poem poem.txt --port 0": ("2 poems for 1 ports and endpoints"),
    "--poem poem.txt --poem poem.txt -p 0 -p 0 -e tcp:0": (
        "2 poems for 3 ports and endpoints"
    ),
    "--poem poem.txt --bogus": "option --bogus not recognized",
    "--poem poem.txt stray": "not an option: stray",
    "--poem poem.txt --timeout -1": "not a number of seconds above 0: -1",
    "--poem poem.txt --timeout soon": "not a number of seconds above 0: soon",
    "--poem poem.txt --grace -0.5": "not a number of seconds, 0 or more: -0.5",
    "--poem poem.txt --grace inf": "not a number of seconds, 0 or more: inf",
    "--poem poem.txt --max-connections 0": "not a whole number above 0: 0",
    "--poem poem.txt --max-connections -1": "not a whole number above 0: -1",
    "--poem poem.txt --max-connections all": "not a whole number above 0: all",
}
# The same for the settings of a .tac file.
TAC_MISTAKES = [
    (
        "iface",
        "",
        "Not an endpoint: tcp:0:interface= (its interface is no address: '')",
    ),
    ("poetry_file", "none.txt", "No such file or directory: {dir}/none.txt"),
    ("poetry_file", ".", "Not a regular file: {dir}"),
    ("poetry_file", "fifo", "Not a regular file: {dir}/fifo"),
    ("poetry_file", "/dev/null", "Not a regular file: /dev/null"),
    ("poetry_file", "/dev/zero", "Not a regular file: /dev/zero"),
    ("poetry_file", "po\0em", "Not the name of a file: '{dir}/po"),
    ("port", "{taken}", "Address already in use: tcp:{taken}:interface=localhost"),
    ("port", 70000, ": tcp:70000:interface=localhost"),
    ("port", "abc", "Not an endpoint: tcp:abc:interface=localhost (...: abc)"),
    ("port", -1, ": tcp:-1:interface=localhost"),
    ("port", "0:x=1", "Not an endpoint: tcp:0:x=1:interface=localhost (...of tcp: x)"),
    ("iface", "203.0.113.77", "requested address: tcp:0:interface=203.0.113.77"),
]


class RefusalTests(RefusalTestCase):
    """
    Mistakes, each of which ends the start with a plain sentence.
    """

    def test_plugin(self) -> None:
        """
        No mistake on the command line starts a server.
        """
        for options, sentence in PLUGIN_MISTAKES.items():
            self.addStart(options, f"fastpoetry {options}", sentence)
        self.assertNoneStarts()

    def test_tac(self) -> None:
        """
        No mistake in the settings of a .tac file starts a server.
        """
        for setting, value, sentence in TAC_MISTAKES:
            self.addStart(f"{setting} = {value!r}", TAC, sentence, **{setting: value})
        self.assertNoneStarts()

    @needsRoot
    def test_unreadable(self) -> None:
        """
        A poem that the user of the server may not read is not served, though the
        user who starts it may.
        """
        for arguments in (PLUGIN, TAC):
            sandbox = self.addStart(
                arguments,
                f"{AS_NOBODY} {arguments}",
                "Permission denied: {dir}/poem.txt",
            )
            (sandbox.path / "poem.txt").chmod(0o600)
            os.chown(sandbox.path, NOBODY, NOBODY)  # or its pid file would stay
        self.assertNoneStarts()
