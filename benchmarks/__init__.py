"""
Figures: what the server does under faults, and how fast it is.
"""
