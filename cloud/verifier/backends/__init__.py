"""The Vision APIs: one file each, behind the one Protocol `verifier.opinion.Backend`."""
