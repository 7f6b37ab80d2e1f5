"""What statements leave in a session of the server: told from their text, remembered, and put back."""
