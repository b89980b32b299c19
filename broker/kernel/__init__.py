"""What every domain may lean on: ids, clock, errors, sensitivity marks. Standard library only; stays small."""
