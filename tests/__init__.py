"""
Tests of L{fastpoetry}.

A warning is an error: in a test, while a module of tests is loaded, and in the
processes that tests start.  Trial collects the warnings of a test and issues them
again after it; there they meet the filters that are set here.  A worker of C{-j2}
loads this module, too.
"""

import os
import re
import warnings

# Deprecations that others cause, or that we cannot avoid: how each message starts.
NOT_OURS = [
    # twisted.web.static and twisted.web.xmlrpc use these when they are loaded.
    "twisted.web.resource._Unsafe",
    "twisted.web.http.HTTPClient was deprecated",
    # twistd --syslog has an observer of the old kind.
    "Passing a logger factory which makes log observers which do not implement",
    # Twisted before 25 expects a resolver of each reactor, also of one in memory.
    "Passing HostnameEndpoint a reactor that does not provide",
    # pyOpenSSL before 24.3 takes no other objects.
    "Passing pyOpenSSL X509 objects is deprecated",
    "Passing pyOpenSSL PKey objects is deprecated",
]

warnings.simplefilter("error")
for start in NOT_OURS:
    warnings.filterwarnings("ignore", re.escape(start), DeprecationWarning)

# A process that ends closes what it has open.
os.environ["PYTHONWARNINGS"] = ",".join(
    [
        "error",
        "ignore::ResourceWarning",
        *(f"ignore:{start}:DeprecationWarning" for start in NOT_OURS),
    ]
)
