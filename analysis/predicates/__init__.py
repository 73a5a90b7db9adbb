"""Predicates of claims, one file each.

A file ``<name>.py`` holds a function ``<name>(evidence, **thresholds) -> Measurement``; a study's
claim names it and gives the thresholds (``predicate: <name>``, ``thresholds: {...}`` under
``study.claims``). Its first argument is the study's :class:`analysis.evidence.Evidence`, the others
are the thresholds that a claim may set, with defaults where it need not. It returns what was
measured, an estimate (:mod:`bfc.stats.estimates`) for every place that the claim speaks of, and
leaves the verdict to :func:`analysis.verdicts.judge`. It never raises for missing data: it returns
:func:`analysis.verdicts.not_run` with the reason. ``QUANTITY`` names what it measures, as the table
of claims shows it, and ``FIGURE``, where there is one, the kind of figure that shows it (how its
name begins). Nothing has to be registered.
"""
