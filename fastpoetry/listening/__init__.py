"""
From the description of an endpoint to readers that are let in.
"""
