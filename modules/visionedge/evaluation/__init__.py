"""How good a model is on pictures whose truth is known."""
