"""Actions: their interface, the standard pack, the registry and the running of one action."""
