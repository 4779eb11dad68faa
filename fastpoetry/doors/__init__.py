"""
Other ways to the same source, each in a module that is loaded when it is asked for.
"""
