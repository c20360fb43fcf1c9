"""Doubt: which frames to ask about, what to send of them, and how an answer settles them."""
