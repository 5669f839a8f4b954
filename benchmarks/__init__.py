"""Courtyard beside its peers and the floor, measured in one run: ``make bench``.

=================  ==================================================================
``workload/*.py``  one workload a file: its operations, how they are measured, our goals
``peer/*.py``      one adapter a peer: what it offers to the workloads
``offer.py``       what an adapter may offer
``operation.py``   what a workload is made of
``call.py``        the cost of a statement: alone, and in several processes at once
``cell.py``        one operation of one peer, measured in a process of its own
``run.py``         all cells, in interleaved rounds
``report.py``      the rounds' figures summed up: medians, spread, ratios, goals
``table.py``       the report as Markdown
``plot.py``        the report as SVG
``chart.py``       the chart of the home page
``machine.py``     what it was measured on
``install.py``     the peers that can be installed here
=================  ==================================================================

A new peer is a new file in ``peer`` with ``TITLE`` and ``OFFERS``; a new workload is a new file in
``workload`` with ``TITLE`` and ``OPERATIONS``. Nothing else need be told of it.
"""
