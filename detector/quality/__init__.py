"""How good the detector is: injections, peers, attackers, and the report that says so.

Pure functions over decoded batches; files, clocks and progress belong to the recipe
``pipelines/quality.py``. Nothing in the product imports this room.
"""
