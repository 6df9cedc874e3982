"""What the API reads: lists and single objects, always within what the caller may see.

Nothing here writes. Start reading at :mod:`tramontane.store.reads.fields` (what a resource consists
of) and :mod:`tramontane.store.reads.listing` (how a list is cut out of a table).
"""
