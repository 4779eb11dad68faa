"""
Tests of L{fastpoetry.logfile}.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.logfile import BoundedLogFile
from tests.support import noPermission


class BoundedLogFileTests(SynchronousTestCase):
    """
    Tests of L{BoundedLogFile}.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.path = self.directory / "poem.log"

    def open(self, size: int = 1000, keep: int = 2) -> BoundedLogFile:
        """
        Open a log.
        """
        file = BoundedLogFile(str(self.path), size, keep)
        self.addCleanup(lambda: os.close(file.fileno()))
        return file

    def files(self) -> dict[str, str]:
        """
        What is in which file.
        """
        return {
            path.name: path.read_text().replace("\n", " ").strip()
            for path in self.directory.iterdir()
        }

    def test_appends(self) -> None:
        """
        A log goes on where the last one ended.
        """
        self.path.write_text("old\n")
        self.open().write("new\n")
        self.assertEqual(self.files(), {"poem.log": "old new"})

    def test_rotates(self) -> None:
        """
        When a file has its size it is rotated, and the oldest one is deleted.
        """
        file = self.open(size=3)
        for line in ("1\n", "2\n", "3\n", "4\n", "5\n", "6\n", "7\n"):
            file.write(line)
        self.assertEqual(
            self.files(), {"poem.log": "7", "poem.log.1": "5 6", "poem.log.2": "3 4"}
        )

    def test_keepsFewer(self) -> None:
        """
        Those of a time when more were kept are deleted.
        """
        for number in range(1, 5):
            (self.directory / f"poem.log.{number}").write_text(str(number))
        file = self.open(keep=1)
        file.write("0\n")
        file.rotate()
        self.assertEqual(self.files(), {"poem.log": "", "poem.log.1": "0"})

    def test_truncated(self) -> None:
        """
        After somebody has truncated the file, it goes on at its end.
        """
        file = self.open(size=8)
        file.write("old old\n")
        os.truncate(self.path, 0)
        file.write("new\n")
        self.assertEqual(self.files(), {"poem.log": "new"})

    def test_mode(self) -> None:
        """
        All files have the mode of the first, whatever the umask is by then.
        """
        for umask in (0o022, 0o077):
            self.path = self.directory / f"{umask}.log"
            self.addCleanup(os.umask, os.umask(umask))
            file = self.open()
            os.umask(0o077 - umask)
            file.write("line\n")
            file.rotate()
            modes = {
                stat.S_IMODE(path.stat().st_mode)
                for path in self.directory.glob(f"{umask}.log*")
            }
            self.assertEqual(modes, {0o666 & ~umask})

    def test_modeOfAnother(self) -> None:
        """
        A file that somebody has made in its place keeps its mode.
        """
        file = self.open()
        self.path.unlink()
        self.path.touch()
        self.path.chmod(0o640)
        file.rotate()
        file.write("line\n")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)
        self.assertEqual(self.files(), {"poem.log": "line"})

    def test_directoryAway(self) -> None:
        """
        When no new file can be opened, the old one is written to, until the first
        line for which one can.
        """
        file = self.open()
        file.write("1\n")
        away = self.directory.rename(f"{self.directory}-away")
        file.rotate()
        file.write("2\n")
        self.assertEqual((away / "poem.log").read_text(), "1\n2\n")
        self.directory.mkdir()
        file.write("3\n")
        self.assertEqual((away / "poem.log").read_text(), "1\n2\n")
        self.assertEqual(self.files(), {"poem.log": "3"})

    def test_directoryBack(self) -> None:
        """
        The same holds for the next signal, when the directory is back with the file.
        """
        file = self.open()
        file.write("1\n")
        away = self.directory.rename(f"{self.directory}-away")
        file.rotate()
        file.write("2\n")
        away.rename(self.directory)
        file.rotate()
        file.write("3\n")
        self.assertEqual(self.files(), {"poem.log": "3", "poem.log.1": "1 2"})

    def test_unwritableDirectory(self) -> None:
        """
        Where nothing can be renamed, the file grows; no line is lost, and no older
        file, however often it is tried.
        """
        (self.directory / "poem.log.1").write_text("old")
        file = self.open(size=2)
        rename = self.patch(os, "rename", noPermission)
        for line in "1234":
            file.write(f"{line}\n")
        self.assertEqual(self.files(), {"poem.log": "1 2 3 4", "poem.log.1": "old"})
        rename.restore()
        file.write("5\n")
        self.assertEqual(
            self.files(),
            {"poem.log": "5", "poem.log.1": "1 2 3 4", "poem.log.2": "old"},
        )

    def test_fixedFile(self) -> None:
        """
        Nor where that is true of the file alone, as one that is mounted.
        """
        for number in (1, 2):
            (self.directory / f"poem.log.{number}").write_text(str(number))
        file = self.open(size=2, keep=4)
        rename = os.rename

        def renameOthers(old: str, new: str) -> None:
            if old == file.path:
                noPermission()
            rename(old, new)

        self.patch(os, "rename", renameOthers)
        for line in "1234":
            file.write(f"{line}\n")
        self.assertEqual(
            self.files(), {"poem.log": "1 2 3 4", "poem.log.2": "1", "poem.log.3": "2"}
        )

    def test_halfLine(self) -> None:
        """
        A line that was cut by a full disk is completed before the file is rotated,
        and those that were lost are counted.
        """
        file = self.open()
        write = os.write

        def writeOne(fd: int, data: bytes) -> int:
            self.patch(os, "write", noPermission)
            return write(fd, data[:1])

        self.patch(os, "write", writeOne)
        file.write("whole\n")
        file.write("lost\n")
        file.rotate()
        self.assertEqual(self.files(), {"poem.log": "w"})
        self.patch(os, "write", write)
        file.write("next\n")
        self.assertEqual(self.files(), {"poem.log": "next", "poem.log.1": "whole"})
        self.assertEqual(file._dropped, 0)

    def test_otherDirectory(self) -> None:
        """
        The directory that a relative path counts from is that of the start.
        """
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        file = self.open()
        file.write("1\n")
        os.chdir("/")
        file.rotate()
        os.chdir(here)
        self.assertEqual(self.files(), {"poem.log": "", "poem.log.1": "1"})

    def test_fifo(self) -> None:
        """
        A FIFO that nobody reads is refused, not waited for.
        """
        os.mkfifo(self.path)
        self.assertRaises(OSError, self.open)

    def test_device(self) -> None:
        """
        What is no file, such as /dev/null, stays where it is, also behind a link, such
        as /dev/stdout.
        """
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.path.symlink_to(f"/proc/self/fd/{writer}")
        file = self.open()
        for line in ("1\n", "2\n"):
            file.write(line)
            file.rotate()
        self.assertEqual(os.read(reader, 100), b"1\n2\n")
        self.assertEqual(os.listdir(self.directory), ["poem.log"])

    def test_link(self) -> None:
        """
        Of a link to a file it is the file that is rotated.
        """
        disk = self.directory.with_name("disk")
        disk.mkdir()
        (self.directory / "poem.log").symlink_to("../disk/poem.log")
        file = self.open()
        file.write("1\n")
        file.rotate()
        file.write("2\n")
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(self.files(), {"poem.log": "2"})
        self.assertEqual((disk / "poem.log.1").read_text(), "1\n")

    def test_standardOutput(self) -> None:
        """
        So it is with /dev/stdout, which is a link to whatever file it is.
        """
        with open(self.path, "w") as stdout:
            path = f"/proc/self/fd/{stdout.fileno()}"
            file = BoundedLogFile(path, size=2, keep=2)
        self.addCleanup(os.close, file.fileno())
        for line in "123":
            file.write(f"{line}\n")
        self.assertEqual(
            self.files(), {"poem.log": "3", "poem.log.1": "2", "poem.log.2": "1"}
        )

    def test_closeFails(self) -> None:
        """
        An old file whose close fails, as on a disk of the network, is closed all the
        same, and its number may be another's by then.
        """
        file = self.open()
        close, closed = os.close, []

        def closeAndFail(fd: int) -> None:
            closed.append(fd)
            close(fd)
            raise OSError(errno.EIO, "Input/output error")

        patched = self.patch(os, "close", closeAndFail)
        file.rotate()
        file.write("1\n")
        patched.restore()
        self.assertEqual(len(closed), 1)
        self.assertNotIn(file.fileno(), closed)
        self.assertEqual(self.files(), {"poem.log": "1", "poem.log.1": ""})
