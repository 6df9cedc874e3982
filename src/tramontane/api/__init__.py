"""The REST API, version 2: HTTP in, use cases and tenant-scoped reads behind, JSON out.

Start reading at :mod:`tramontane.api.app` (what happens to every request) and
:mod:`tramontane.api.routes` (which path is answered by what).
"""
