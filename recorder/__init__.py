"""Sealed session recordings: writing, verifying, replaying. Imports neither `broker` nor `spa_knock`."""
