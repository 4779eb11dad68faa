"""
Tests of L{fastpoetry.defer}.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, FirstError, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.defer import DeferredDict, FirstErrorByKey, Waiters


class PoemError(Exception):
    """
    What goes wrong in these tests.
    """


class DeferredDictTests(SynchronousTestCase):
    """
    Tests of L{DeferredDict}.
    """

    def setUp(self) -> None:
        """
        Make three Deferreds to wait for.
        """
        self.one, self.two, self.three = (Deferred[Any]() for _ in range(3))
        self.deferreds = {"one": self.one, "two": self.two, "three": self.three}

    def failAs(self, deferred: Deferred[Any], error: Exception) -> None:
        """
        Have a Deferred fail, and nobody mind.
        """
        deferred.errback(error)
        deferred.addErrback(lambda _: None)

    def test_results(self) -> None:
        """
        It fires when every Deferred has, with what became of each; and keeps
        the keys in their order.
        """
        all_ = DeferredDict(self.deferreds)
        error = PoemError("two")
        self.three.callback(3)
        self.failAs(self.two, error)
        self.assertNoResult(all_)
        self.one.callback(1)
        results = self.successResultOf(all_)
        self.assertIs(type(results), dict)
        self.assertEqual(list(results), ["one", "two", "three"])
        self.assertEqual(results["one"], (True, 1))
        self.assertEqual(results["three"], (True, 3))
        success, failure = results["two"]
        self.assertIs(success, False)
        self.assertIs(failure.value, error)

    def test_keys(self) -> None:
        """
        Anything that is a key in a C{dict} is one here.
        """
        keys = [("localhost", 17), 0, None, b"key", frozenset((1,))]
        all_ = DeferredDict({key: succeed(key) for key in keys})
        self.assertEqual(self.successResultOf(all_), {key: (True, key) for key in keys})

    def test_alreadyFired(self) -> None:
        """
        Deferreds that have fired before are taken as they are.
        """
        self.one.callback(1)
        error = PoemError()
        self.failAs(self.two, error)
        broken = fail(error)
        all_ = DeferredDict({"one": self.one, "two": self.two, "broken": broken})
        results = self.successResultOf(all_)
        self.assertEqual(results["one"], (True, 1))
        self.assertEqual(results["two"], (True, None))
        self.assertEqual(results["broken"][1].value, error)
        self.failureResultOf(broken, PoemError)

    def test_empty(self) -> None:
        """
        Without Deferreds it fires at once.
        """
        self.assertEqual(self.successResultOf(DeferredDict({})), {})
        all_ = DeferredDict({}, fireOnOneErrback=True, consumeErrors=True)
        self.assertEqual(self.successResultOf(all_), {})

    def test_emptyFireOnOneCallback(self) -> None:
        """
        Without Deferreds, none will ever succeed.
        """
        self.assertNoResult(DeferredDict({}, fireOnOneCallback=True))

    def test_copies(self) -> None:
        """
        What is done to the mapping later makes no difference.
        """
        all_ = DeferredDict(self.deferreds)
        self.deferreds["four"] = Deferred()
        del self.deferreds["one"]
        for deferred in (self.one, self.two, self.three):
            deferred.callback(None)
        self.assertEqual(list(self.successResultOf(all_)), ["one", "two", "three"])

    def test_isDeferred(self) -> None:
        """
        It can be awaited, as any Deferred.
        """

        async def wait() -> Any:
            return await DeferredDict(self.deferreds, fireOnOneCallback=True)

        waiting = Deferred.fromCoroutine(wait())
        self.three.callback(3)
        self.assertEqual(self.successResultOf(waiting), (3, "three"))

    def test_fireOnOneCallback(self) -> None:
        """
        It fires with the first that succeeds; failures before and anything after
        change nothing.
        """
        all_ = DeferredDict(self.deferreds, fireOnOneCallback=True)
        self.failAs(self.one, PoemError())
        self.assertNoResult(all_)
        self.three.callback(3)
        self.assertEqual(self.successResultOf(all_), (3, "three"))
        self.two.callback(2)
        self.assertEqual(self.successResultOf(self.two), 2)

    def test_fireOnOneCallbackWithoutOne(self) -> None:
        """
        When none succeeds, it fires with all the failures.
        """
        all_ = DeferredDict(self.deferreds, fireOnOneCallback=True)
        for deferred in self.deferreds.values():
            self.failAs(deferred, PoemError())
        results = self.successResultOf(all_)
        self.assertEqual([success for success, _ in results.values()], [False] * 3)

    def test_fireOnOneCallbackWithListAsValue(self) -> None:
        """
        A result that is a list is nothing special.
        """
        all_ = DeferredDict(self.deferreds, fireOnOneCallback=True)
        self.two.callback([(True, 1)])
        self.assertEqual(self.successResultOf(all_), ([(True, 1)], "two"))

    def test_fireOnOneErrback(self) -> None:
        """
        It fails with the first that fails, and says which; successes before and
        anything after change nothing.
        """
        all_ = DeferredDict(self.deferreds, fireOnOneErrback=True)
        self.one.callback(1)
        self.assertNoResult(all_)
        self.failAs(self.three, PoemError("three"))
        error = self.failureResultOf(all_, FirstErrorByKey).value
        self.assertIsInstance(error, FirstError)
        self.assertEqual((error.key, error.index), ("three", 2))
        self.assertEqual(error.subFailure.value.args, ("three",))
        self.failAs(self.two, PoemError("two"))

    def test_fireOnOneErrbackWithoutOne(self) -> None:
        """
        When none fails, it fires with all the results.
        """
        all_ = DeferredDict(self.deferreds, fireOnOneErrback=True)
        for name, deferred in self.deferreds.items():
            deferred.callback(name)
        self.assertEqual(
            self.successResultOf(all_), {name: (True, name) for name in self.deferreds}
        )

    def test_fireOnOneErrbackAlreadyFailed(self) -> None:
        """
        It has failed when it is made, if one has failed before.
        """
        self.two.errback(PoemError())
        all_ = DeferredDict(self.deferreds, fireOnOneErrback=True, consumeErrors=True)
        self.assertEqual(self.failureResultOf(all_).value.key, "two")

    def test_fireOnEither(self) -> None:
        """
        With both, whichever comes first decides.
        """
        all_ = DeferredDict(self.deferreds, True, True, True)
        self.two.callback(2)
        self.one.errback(PoemError())
        self.assertEqual(self.successResultOf(all_), (2, "two"))

    def test_firstErrorText(self) -> None:
        """
        The error tells the key and the failure.
        """
        error = FirstErrorByKey(Failure(PoemError("no")), 0, ("localhost", 17))
        self.assertEqual(
            repr(error), "FirstErrorByKey[('localhost', 17), PoemError('no')]"
        )
        self.assertIn("('localhost', 17), [Failure instance", str(error))
        self.assertIn("PoemError'>: no", str(error))

    def test_resultsAreKept(self) -> None:
        """
        Each Deferred goes on with its own result.
        """
        DeferredDict(self.deferreds)
        self.one.callback(1)
        self.two.errback(PoemError())
        self.assertEqual(self.successResultOf(self.one), 1)
        self.failureResultOf(self.two, PoemError)

    def test_errorsAreNotConsumed(self) -> None:
        """
        A failure that nobody else takes is logged.
        """
        all_ = DeferredDict({"one": fail(PoemError())})
        self.assertEqual(self.successResultOf(all_)["one"][0], False)
        del all_
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(PoemError)), 1)

    def test_consumeErrors(self) -> None:
        """
        If wanted, the failures are told to nobody else; results are.
        """
        all_ = DeferredDict(self.deferreds, consumeErrors=True)
        self.one.callback(1)
        self.two.errback(PoemError())
        self.three.errback(PoemError())
        self.assertEqual(self.successResultOf(self.one), 1)
        self.assertIsNone(self.successResultOf(self.two))
        results = self.successResultOf(all_)
        self.assertEqual(results["two"][1].type, PoemError)
        del all_, results
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cancel(self) -> None:
        """
        To cancel it cancels all that have not fired, and it fires with what comes
        of that.
        """
        self.two = Deferred(lambda it: it.callback("rather this"))
        self.deferreds["two"] = self.two
        all_ = DeferredDict(self.deferreds)
        self.one.callback(1)
        all_.cancel()
        results = self.successResultOf(all_)
        self.assertEqual(results["one"], (True, 1))
        self.assertEqual(results["two"], (True, "rather this"))
        self.assertEqual(results["three"][1].type, CancelledError)
        self.failureResultOf(self.three, CancelledError)

    def test_cancelFireOnOneCallback(self) -> None:
        """
        To cancel it may make one succeed, and cancels the others all the same.
        """
        self.deferreds["one"] = Deferred(lambda it: it.callback("rather this"))
        all_ = DeferredDict(self.deferreds, fireOnOneCallback=True)
        all_.cancel()
        self.assertEqual(self.successResultOf(all_), ("rather this", "one"))
        self.failureResultOf(self.two, CancelledError)
        self.failureResultOf(self.three, CancelledError)

    def test_cancelFireOnOneErrback(self) -> None:
        """
        To cancel it cancels them all, though it has failed after the first.
        """
        all_ = DeferredDict(self.deferreds, fireOnOneErrback=True)
        all_.cancel()
        error = self.failureResultOf(all_, FirstErrorByKey).value
        self.assertEqual(error.key, "one")
        self.assertTrue(error.subFailure.check(CancelledError))
        for deferred in self.deferreds.values():
            self.failureResultOf(deferred, CancelledError)

    def test_cancelTakesTime(self) -> None:
        """
        When one takes its time to be cancelled, it waits for it.
        """
        rest = Deferred[Any]()
        self.one.addErrback(lambda _: rest)
        all_ = DeferredDict({"one": self.one, "two": self.two}, consumeErrors=True)
        all_.cancel()
        self.assertNoResult(all_)
        rest.callback("done")
        self.assertEqual(self.successResultOf(all_)["one"], (True, "done"))

    def test_cancelWithBrokenCanceller(self) -> None:
        """
        A canceller that raises is logged, and the others are cancelled.
        """

        def canceller(deferred: Deferred[Any]) -> None:
            raise PoemError()

        all_ = DeferredDict({"one": Deferred(canceller), "two": self.two})
        all_.cancel()
        self.failureResultOf(self.two, CancelledError)
        self.assertNoResult(all_)
        self.assertEqual(len(self.flushLoggedErrors(PoemError)), 1)

    def test_cancelFired(self) -> None:
        """
        To cancel it does nothing to the others once it has fired.
        """
        all_ = DeferredDict(self.deferreds, fireOnOneCallback=True)
        self.one.callback(1)
        all_.cancel()
        self.assertNoResult(self.two)
        self.assertEqual(self.successResultOf(all_), (1, "one"))

    def test_cancelFailed(self) -> None:
        """
        Nor does it once it has failed.
        """
        all_ = DeferredDict(self.deferreds, fireOnOneErrback=True)
        self.failAs(self.one, PoemError())
        all_.cancel()
        self.assertNoResult(self.two)
        self.failureResultOf(all_, FirstErrorByKey)

    def test_cancelFiredAndChained(self) -> None:
        """
        To cancel it once it has fired cancels what its callbacks wait for.
        """
        rest = Deferred[Any]()
        all_ = DeferredDict({}).addCallback(lambda _: rest)
        all_.cancel()
        self.failureResultOf(all_, CancelledError)

    def test_nested(self) -> None:
        """
        One may wait for another, and to cancel the one cancels the other.
        """
        inner = DeferredDict({"one": self.one}, consumeErrors=True)
        outer = DeferredDict({"inner": inner})
        outer.cancel()
        _, results = self.successResultOf(outer)["inner"]
        self.assertEqual(results["one"][1].type, CancelledError)


class WaitersTests(SynchronousTestCase):
    """
    Tests of L{Waiters}.
    """

    def setUp(self) -> None:
        """
        Have two who wait.
        """
        self.emptied = 0
        self.waiters = Waiters(self.empty)
        self.one, self.other = self.waiters.wait(), self.waiters.wait()

    def empty(self) -> None:
        """
        Count.
        """
        self.emptied += 1

    def test_fire(self) -> None:
        """
        Everybody who waits has the result; whoever comes later waits for the next.
        """
        self.waiters.fire("first")
        self.assertEqual(self.successResultOf(self.one), "first")
        self.assertEqual(self.successResultOf(self.other), "first")
        self.assertEqual(len(self.waiters), 0)
        late = self.waiters.wait()
        self.assertNoResult(late)
        self.waiters.fire(Failure(ValueError()))
        self.failureResultOf(late, ValueError)
        self.assertEqual(self.emptied, 0)

    def test_cancel(self) -> None:
        """
        Whoever cancels waits no more; it is told when nobody is left.
        """
        self.one.cancel()
        self.failureResultOf(self.one, CancelledError)
        self.assertEqual((len(self.waiters), self.emptied), (1, 0))
        self.other.cancel()
        self.failureResultOf(self.other, CancelledError)
        self.assertEqual((len(self.waiters), self.emptied), (0, 1))

    def test_cancelOther(self) -> None:
        """
        A callback may cancel another who waits, who then has no result.
        """
        self.one.addCallback(lambda _: self.other.cancel())
        self.waiters.fire("result")
        self.successResultOf(self.one)
        self.failureResultOf(self.other, CancelledError)
