"""Predicates of claims, one file each.

A file ``<name>.py`` holds a function ``<name>(evidence, **thresholds) -> Measurement``; a study's
claim names it and gives the thresholds (``predicate: <name>``, ``thresholds: {...}`` under
``study.claims``). Its first argument is the study's :class:`analysis.evidence.Evidence`, the others
are the thresholds that a claim may set, with defaults where it need not. It returns what was
measured, an estimate (:mod:`bfc.stats.estimates`) for every place that the claim speaks of, and
leaves the verdict to :func:`analysis.verdicts.judge`. Missing data are no error: it returns
:func:`analysis.verdicts.not_run` with the reason, or the function that selects the trainings raises
:class:`analysis.evidence.NotMeasured`, which makes the claim *not run*, too. ``QUANTITY`` names
what it measures, as the table of claims shows it, and ``FIGURE``, where there is one, the kind of
figure that shows it (how its name begins). Nothing has to be registered.
"""
