"""People, their roles, passwords and second factors; who is signed in, on either face."""
