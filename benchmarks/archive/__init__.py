"""How a run over an archive holds up: the same table however it is run, speed and growth."""
