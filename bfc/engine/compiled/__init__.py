"""Optimizer steps as generated code: whole steps of several replicas inside the cache of a core.

A step is traced to a graph of operations (:mod:`~bfc.engine.compiled.tracing`), which becomes a
program for one replica (:mod:`~bfc.engine.compiled.lowering`) and then machine code in which the
replicas are the lanes of vector registers. docs/compiled.md goes through an example.
"""
