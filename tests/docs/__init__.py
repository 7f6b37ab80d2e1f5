"""The examples of the documentation run, and what it quotes is what the code says."""
