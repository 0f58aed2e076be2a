"""Pages that a person reads: one per actor, one per comparison. The last room: it reads what all others wrote."""
