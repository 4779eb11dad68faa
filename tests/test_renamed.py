"""
Tests of what was otherwise in 1.0.
"""

from __future__ import annotations

import warnings
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import fastpoetry.client
import fastpoetry.transform
from fastpoetry import address, transformclient
from fastpoetry.protocol import PoetryFactory
from fastpoetry.transform import TransformFactory, TransformService
from tests.support import StaticSource


class RenamedTests(SynchronousTestCase):
    """
    Tests that each still works, with a warning.
    """

    def assertWarns_(self, text: str, lines: str, **names: Any) -> None:
        """
        Assert that something that is executed is warned of once, and in its own line.

        @param names: what it knows.
        """
        code = compile(lines, "old.tac", "exec")
        with warnings.catch_warnings(record=True) as caught:
            warnings.resetwarnings()  # the filters that a process begins with
            exec(code, names)
        found = [(str(one.message), one.filename, one.category) for one in caught]
        self.assertEqual(found, [(text, "old.tac", FutureWarning)])

    def test_names(self) -> None:
        """
        Names that have moved are found where they were.
        """
        for old, name, new in [
            (fastpoetry.client, "parseAddress", address),
            (fastpoetry.client, "clientEndpoint", address),
            (fastpoetry.transform, "TransformProxy", transformclient),
            (fastpoetry.transform, "TransformError", transformclient),
        ]:
            self.assertWarns_(
                f"{old.__name__}.{name} is {new.__name__}.{name} now",
                f"from {old.__name__} import {name}\nassert {name} is expected",
                expected=getattr(new, name),
            )

    def test_none(self) -> None:
        """
        Other names are not there.
        """
        with self.assertRaises(AttributeError) as raised:
            _ = fastpoetry.client.poem
        text = "module 'fastpoetry.client' has no attribute 'poem'"
        self.assertEqual(str(raised.exception), text)

    def test_keywords(self) -> None:
        """
        A keyword that is of no effect any more is no error.
        """
        for factory, argument in [
            (PoetryFactory, StaticSource(b"")),
            (TransformFactory, TransformService()),
        ]:
            names = {"Factory": factory, "argument": argument, "clock": Clock()}
            self.assertWarns_(
                "progress has no effect any more",
                "Factory(argument, 60.0, reactor=clock, progress=len)",
                **names,
            )
            with warnings.catch_warnings(record=True) as caught:
                warnings.resetwarnings()
                factory(argument, reactor=Clock())
            self.assertEqual(caught, [])
