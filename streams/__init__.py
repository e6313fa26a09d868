"""Stream processing: the pure core and the thin Faust apps around it."""
