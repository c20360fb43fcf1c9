"""Deployment manifests: from a template and an env file to what the hub takes."""
