"""What every reconciler needs: a queue with one worker a key, schedule, interrupt, backoff, progress and Events."""
