"""The loops of a node: running actions, firing timers, reading inboxes, looking after the dead.

Each is a small service with ``start()`` and ``stop()``; :mod:`tramontane.runtime.node` puts them in
order. What they do to executions is in :mod:`tramontane.service.work`; every wake-up may get lost,
since each loop finds its work by polling anyway.
"""
