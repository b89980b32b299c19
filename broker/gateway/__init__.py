"""What every protocol shares: live sessions as machines, their driver, the doors, and the link to control."""
