"""What every reconciler needs: a queue with one worker a key, schedule, interrupt, progress and Events."""
