"""The broker's end of the guard's socket: the roster goes out, accepted knocks come in."""
