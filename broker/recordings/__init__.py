"""The index of session recordings, their verification, and replay that is itself audited."""
