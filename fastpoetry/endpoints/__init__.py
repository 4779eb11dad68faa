"""
Endpoints other than those of plain TCP, each in modules that are loaded when one is
asked for.
"""
