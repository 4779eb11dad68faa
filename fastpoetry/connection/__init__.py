"""
One connection.
"""
