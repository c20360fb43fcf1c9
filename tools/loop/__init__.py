"""`make loop`: the whole loop on this machine, from a frame in doubt to a verdict merged."""
