"""
How fastpoetry is packaged.
"""

import gzip
import os
import pathlib
import re
import shutil
import tarfile
import time

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

# A placeholder, until the project is published somewhere.
HOME = "https://fastpoetry.example"


class Sdist(sdist):
    """
    Makes a source archive that has the same bytes each time, if C{SOURCE_DATE_EPOCH}
    is set: the time of the archive and of all its files.  (A wheel minds it anyway.)
    """

    def make_archive(self, base_name, format, root_dir=None, base_dir=None, **owner):
        """
        Make the archive.
        """
        if format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, **owner)
        epoch = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())

        def normalize(member):
            member.mtime = epoch
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.mode & 0o100 else 0o644
            return member

        path = f"{base_name}.tar.gz"
        file = gzip.GzipFile(path, "wb", mtime=epoch)
        with file, tarfile.open(path, "w", fileobj=file) as tar:
            tar.add(base_dir, filter=normalize)
        return path


class BuildPy(build_py):
    """
    Begins with nothing.  What an older build has left would be installed with the
    new modules, as a plugin that is no more.
    """

    def run(self):
        """
        Remove what an older build has left, and build.
        """
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


def absoluteLinks(page):
    """
    Make the links of a page absolute: a package index shows it without the others.
    """
    return re.sub(r"\]\((?![a-z]+:|#)", f"]({HOME}/", page)


here = pathlib.Path(__file__).parent
init = (here / "fastpoetry" / "__init__.py").read_text(encoding="utf-8")
(version,) = re.findall('^__version__ = "(.*)"$', init, re.MULTILINE)

setup(
    name="fastpoetry",
    version=version,
    description="A poem server in classic Twisted shape",
    long_description=absoluteLinks((here / "README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
    license="MIT",
    url=HOME,
    project_urls={
        "Documentation": f"{HOME}/docs",
        "Changelog": f"{HOME}/NEWS.md",
        "Source": f"{HOME}/source",
        "Issues": f"{HOME}/issues",
    },
    python_requires=">=3.9",
    # Earlier releases of Twisted keep a copy of the poem for every reader.
    install_requires=["twisted>=24.11.0", "zope.interface>=5"],
    extras_require={
        "tls": ["twisted[tls]"],
        "test": [
            "twisted[tls]",
            "build",
            "coverage",
            "hypothesis",
            "prometheus-client",
            "setuptools>=61",
            "tzdata",
            "wheel",
        ],
        "bench": ["twisted[tls]", "uvloop"],
        "check": ["ruff", "mypy", "mypy-zope", "pydoctor"],
    },
    # Twisted's plugin system looks in directories along sys.path.  An editable
    # install puts ours there only if this says where the packages are, though
    # that is where they would be looked for anyway.
    package_dir={"": "."},
    packages=[
        "fastpoetry",
        "fastpoetry.commands",
        "fastpoetry.connection",
        "fastpoetry.doors",
        "fastpoetry.endpoints",
        "fastpoetry.listening",
        "twisted.plugins",
    ],
    package_data={"fastpoetry": ["py.typed"], "fastpoetry.doors": ["page.html"]},
    data_files=[
        ("share/man/man1", ["man/get-poetry.1"]),
        (
            "share/man/man8",
            ["man/fastpoetry.8", "man/poetry-proxy.8", "man/poetry-transform.8"],
        ),
        (
            "share/zsh/site-functions",
            ["completion/_fastpoetry", "completion/_get-poetry"],
        ),
    ],
    entry_points={
        "console_scripts": [
            "fastpoetry = fastpoetry.commands.main:fastpoetry",
            "get-poetry = fastpoetry.commands.process:run",
            "poetry-proxy = fastpoetry.commands.main:poetryProxy",
            "poetry-transform = fastpoetry.commands.main:poetryTransform",
        ]
    },
    include_package_data=False,
    zip_safe=False,
    cmdclass={"build_py": BuildPy, "sdist": Sdist},
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Environment :: No Input/Output (Daemon)",
        "Framework :: Twisted",
        "Intended Audience :: System Administrators",
        "License :: OSI Approved :: MIT License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        *[f"Programming Language :: Python :: 3.{minor}" for minor in range(9, 14)],
        "Programming Language :: Python :: Implementation :: CPython",
        "Topic :: Internet",
        "Topic :: System :: Networking",
        "Typing :: Typed",
    ],
)
