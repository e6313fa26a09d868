"""The scoreboard: rules of other systems, written anew from descriptions of them, and ours, on one labelled tape."""
