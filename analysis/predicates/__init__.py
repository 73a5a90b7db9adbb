"""Predicates of claims, one file each.

A file ``<name>.py`` holds a function ``<name>(evidence, **thresholds) -> Finding``; a study's claim
names it and gives the thresholds (``predicate: <name>``, ``thresholds: {...}`` under
``study.claims``). Its first argument is the study's :class:`analysis.evidence.Evidence`, the others
are the thresholds that a claim may set, with defaults where it need not. It never raises for
missing data: it returns :func:`analysis.evidence.no_data` with the reason. ``QUANTITY`` names what
it measures, as the table of claims shows it. Nothing has to be registered.
"""
