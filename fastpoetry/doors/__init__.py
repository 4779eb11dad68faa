"""
Other ways to the same source.  Each is loaded only when it is asked for.
"""
