"""Use cases, one function each, and the turn that joins the engine's decisions with the store."""
