"""The way up and down: spool, sender, inbox, and one file a kind of hub."""
