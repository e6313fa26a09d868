"""The planted tape: genuine frames of both venues in which every case a detector can meet is a labelled stretch.

What its labels mean:

* *True* is what a careful reader of the frames may trade: every leg's book can be believed, its feed has spoken within
  5 s, its market trades, and the best size leaves money after exact fees and twice the charges for time, voids and
  mismatches. *False* is what only seems so to who makes the mistake that the case is about.
* *Fresh*: while a venue's feed sends frames, each of its live books counts as confirmed by them. A feed that has been
  silent for longer than 5 s makes all its books stale; its next frame ends that.
* *Replication lag* (45, 100, 500 ms): Polymarket moves first and Kalshi after it, so nothing ever crosses in order of
  receipt, and the label is false; who hears Polymarket later by that lag sees a crossing. A detector that works on
  mirrored books cannot know it at that moment: its only protection is to judge by the receive times of both regions.
* *Never coexisted*: Polymarket moved before Kalshi by its own stamp, but its frame came 45, 100 or 500 ms late. The
  crossing stands in order of receipt, and no reader can know better until the late frame is there: stamps of what
  has not arrived prove nothing, and a venue's clock may be off by half a minute. An order would not have been filled,
  so the label is false; it has `knowable: false`, and nobody is blamed for seeing it. Only trading it costs money.
"""
