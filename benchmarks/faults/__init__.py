"""What a run survives: faults injected into every stage of the built-in actor's pipeline."""
