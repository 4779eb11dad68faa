import pathlib
import re

from setuptools import setup

here = pathlib.Path(__file__).parent
init = (here / "fastpoetry" / "__init__.py").read_text(encoding="utf-8")
(version,) = re.findall('^__version__ = "(.*)"$', init, re.MULTILINE)

setup(
    name="fastpoetry",
    version=version,
    description="A poem server in classic Twisted shape",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
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
        "bench": ["twisted[tls]", "matplotlib", "uvloop"],
        "check": ["ruff", "mypy", "mypy-zope"],
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
        "fastpoetry.listening",
        "twisted.plugins",
    ],
    package_data={"fastpoetry": ["py.typed"], "fastpoetry.doors": ["page.html"]},
    entry_points={
        "console_scripts": [
            "fastpoetry = fastpoetry.commands.main:fastpoetry",
            "get-poetry = fastpoetry.commands.getpoetry:run",
            "poetry-proxy = fastpoetry.commands.main:poetryProxy",
            "poetry-transform = fastpoetry.commands.main:poetryTransform",
        ]
    },
    include_package_data=False,
    zip_safe=False,
    classifiers=[
        "Framework :: Twisted",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Internet",
    ],
)
