"""
Tests of L{fastpoetry.doors.xmlrpc}, with Python's own client.
"""

from __future__ import annotations

from typing import Any
from xmlrpc.client import Binary, Fault, dumps, loads

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.defer import Deferred, fail

from fastpoetry.doors.xmlrpc import MAX_LENGTH, NO_POEM, TOO_LONG, PoemMethods
from sandbox import POEM
from tests.support import StaticSource
from tests.webclient import WebTestCase, parse


class MethodsTests(WebTestCase):
    """
    Tests of the methods.
    """

    def setUp(self) -> None:
        """
        Serve two poems.
        """
        super().setUp()
        self.first, self.second = StaticSource(POEM), StaticSource("zwölf\n".encode())
        sources = {"first": self.first, "second": self.second}
        self.root.putChild(b"RPC2", PoemMethods(sources))

    def post(self, body: bytes) -> Any:
        """
        Say this.

        @return: what is answered.
        """
        answer = self.ask("/RPC2", "POST", {"Content-Type": "text/xml"}, body)
        self.assertEqual(answer.status, 200)
        return loads(answer.body)[0][0]

    def call(self, name: str, *arguments: Any) -> Any:
        """
        Call a method.
        """
        return self.post(dumps(arguments, name).encode())

    def test_getPoem(self) -> None:
        """
        A poem is got by its name, or is the first.
        """
        self.assertEqual(self.call("getPoem"), POEM.decode())
        self.assertEqual(self.call("getPoem", "first"), POEM.decode())
        self.assertEqual(self.call("getPoem", "second"), "zwölf\n")

    @given(
        some.one_of(some.binary(), some.text().map(lambda text: text.encode("utf-8")))
    )
    def test_anyPoem(self, poem: bytes) -> None:
        """
        Whatever the poem, its bytes come as they are: as text where XML can have it.
        """
        self.first.poem = poem
        found = self.call("getPoem")
        data = found.data if isinstance(found, Binary) else found.encode()
        self.assertEqual(data, poem)

    def test_entities(self) -> None:
        """
        A request whose entities would make a string of 100 MB is a fault.
        """
        entities = [f'<!ENTITY e0 "{1000 * "a"}">']
        for number in range(5):
            entities.append(f'<!ENTITY e{number + 1} "{10 * f"&e{number};"}">')
        dtd = f"<!DOCTYPE x [{''.join(entities)}]>\n<methodCall>"
        request = dumps(("&",), "getPoem").replace("&amp;", "&e5;")
        request = request.replace("<methodCall>", dtd)
        with self.assertRaises(Fault) as raised:
            self.post(request.encode())
        self.assertEqual(raised.exception.faultCode, PoemMethods.FAILURE)

    def test_kinds(self) -> None:
        """
        What is no UTF-8, or no XML, comes as C{base64}.
        """
        for poem in (b"\xe9", b"\0", b"a\r\n", "\ufffe".encode()):
            self.first.poem = poem
            self.assertEqual(self.call("getPoem"), Binary(poem))
        for poem in (b"", b" <&>]]>\t\n\x7f", "\U0010ffff\x85".encode()):
            self.first.poem = poem
            self.assertEqual(self.call("getPoem"), poem.decode())

    def test_long(self) -> None:
        """
        A poem that is too long is a fault; one of that length is not.
        """
        self.first.poem = b"a" * MAX_LENGTH
        self.assertEqual(self.call("getPoem"), self.first.poem.decode())
        self.first.poem += b"a"
        fault = self.assertRaises(Fault, self.call, "getPoem")
        self.assertEqual(fault.faultCode, TOO_LONG)

    def test_none(self) -> None:
        """
        A poem that there is not is a fault, be it by its name or for now.
        """
        for name, poem in (
            ("third", POEM),
            ("first", ValueError("secret")),
            ("first", fail(ValueError("secret"))),
        ):
            self.first.poem = poem
            fault = self.assertRaises(Fault, self.call, "getPoem", name)
            self.assertEqual(fault.faultCode, NO_POEM)
            self.assertNotIn("secret", fault.faultString)

    def test_later(self) -> None:
        """
        A poem that is fetched is waited for, and for one who has left it costs nothing.
        """
        for leaves in (False, True):
            poem: Deferred[bytes] = Deferred()
            self.first.poem = poem
            wire, body = self.connect(), dumps((), "getPoem").encode()
            wire.say(b"POST /RPC2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body))
            wire.say(body)
            self.assertEqual(self.hear(wire), b"")
            if leaves:
                wire.reset()
            poem.callback(POEM)
            if not leaves:
                answer: Any = parse(self.hear(wire))[0]
                self.assertEqual(loads(answer.body)[0][0], POEM.decode())

    def test_introspection(self) -> None:
        """
        The methods tell of themselves.
        """
        self.assertIn("getPoem", self.call("system.listMethods"))
        self.assertIn("Give a poem", self.call("system.methodHelp", "getPoem"))

    def test_mistakes(self) -> None:
        """
        What a client gets wrong is a fault, and costs the log no traceback.
        """
        for name, arguments in (
            ("nosuch", ()),
            ("nosuch.method", ()),
            ("", ()),
            ("getPoem", ("first", 2)),
            ("getPoem", ([],)),
            ("getPoem", ({},)),
            ("getPoem", (3,)),
            ("system.methodHelp", ()),
            ("system.methodHelp", (3,)),
        ):
            self.assertRaises(Fault, self.call, name, *arguments)
        for body in (b"no XML", dumps((1,), methodresponse=True).encode(), b"<a/>"):
            self.assertRaises(Fault, self.post, body)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_bombs(self) -> None:
        """
        A name that entities make long is not answered with.
        """
        name = f"""<!DOCTYPE a [<!ENTITY a "{"a" * 5000}">]>""".encode()
        for method in (b"&a;" * 500, b"&a;" * 500 + b".a", b"system.&a;"):
            call = b"<methodCall><methodName>%b</methodName></methodCall>" % method
            fault = self.assertRaises(Fault, self.post, name + call)
            self.assertEqual(fault.faultString, "procedure not found")

    def test_bug(self) -> None:
        """
        An error of ours is a fault that says nothing, and the log has it.
        """
        self.root.children[b"RPC2"]._sources = None
        fault = self.assertRaises(Fault, self.call, "getPoem", "first")
        self.assertEqual(fault.faultString, "error")
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_methods(self) -> None:
        """
        It is only posted to.
        """
        answer = self.ask("/RPC2")
        self.assertEqual((answer.status, answer.getheader("Allow")), (405, "POST"))
