"""What a sync says of itself: ``report`` is what it has done, line by line; ``timeline`` when each object had its turn
and what it waited for; ``tally`` how many releases are ready, wait and have failed; ``underway`` tells of these while
it lasts.
"""
