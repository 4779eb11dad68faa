"""
Tests of L{fastpoetry}.
"""
