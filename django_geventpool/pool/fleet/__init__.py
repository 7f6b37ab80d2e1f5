"""Sharing the server's limit with the pools of other processes, which are known from the server's session list."""
