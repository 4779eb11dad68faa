"""
A poem server: whoever connects gets a poem, whole, and the end of the line.

The pattern is that of U{RFC 865 <https://www.rfc-editor.org/rfc/rfc865>}, Quote
of the Day.
"""

__version__ = "1.0.0"
