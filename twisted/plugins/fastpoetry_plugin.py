"""
What C{twistd} finds.  It loads this file whenever it looks for plugins, so nothing of
ours is imported here: a tap is imported when its command is used.
"""

from twisted.application.service import ServiceMaker

fastpoetry = ServiceMaker(
    "fastpoetry",
    "fastpoetry.commands.tap",
    "Serve a poem to whoever connects.",
    "fastpoetry",
)

poetryProxy = ServiceMaker(
    "poetry-proxy",
    "fastpoetry.commands.proxytap",
    "Serve the poem of another server, and keep it.",
    "poetry-proxy",
)

poetryTransform = ServiceMaker(
    "poetry-transform",
    "fastpoetry.commands.transformtap",
    "Transform the poems that clients send.",
    "poetry-transform",
)
