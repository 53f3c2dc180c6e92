"""What a sync says of itself: ``report`` is what it has done, for log and journal; ``timeline`` when each object had
its turn and what it waited for; ``underway`` writes these into the cluster while the sync lasts. ``tally`` counts how
many releases are ready, wait and have failed, for the status line.
"""
