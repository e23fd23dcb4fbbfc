"""Steps turned into events: the scheduler, the results, the journal, the lock."""
