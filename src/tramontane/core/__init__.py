"""The pure engine: it decides what happens next and does nothing itself.

Start reading at :mod:`tramontane.core.decide`.
"""
