"""
C{python -m fastpoetry}: the command C{fastpoetry}.
"""

from fastpoetry.commands.main import fastpoetry

fastpoetry()
