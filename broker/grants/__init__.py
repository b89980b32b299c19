"""What an approved request gives: a window in time, short-lived SSH certificates, revocation."""
