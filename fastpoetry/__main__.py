"""
C{python -m fastpoetry}.
"""

from fastpoetry.commands.main import fastpoetry

fastpoetry()
