"""The only code that talks to a venue. Both venues' folders hold the same files with the same names."""
