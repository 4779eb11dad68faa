"""
What is typed: the options of each command, and what they ask for.
"""
