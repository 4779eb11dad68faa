"""
What a poem costs, beside other servers that send the same.
"""
