"""One module per resource: what its endpoints do."""
