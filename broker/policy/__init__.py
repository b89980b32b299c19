"""Who may do what right now: facts and rules in, a reasoned verdict out."""
