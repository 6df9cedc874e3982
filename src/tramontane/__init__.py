"""Tramontane: a workflow service that speaks Mistral's language and REST API."""

__version__ = "0.1.0"
