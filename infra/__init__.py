"""Where the pipeline runs: the local stack, the venue simulators, the command line that wires them."""
