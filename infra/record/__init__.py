"""`dutchbook record`: a stretch of the raw topics as a tape that venues play and `dutchbook scan` reads."""
